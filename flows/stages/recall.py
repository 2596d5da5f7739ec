"""The turns to send: the request's own, with its context before them.

The context stands in one system turn: appended to the leading one where the request brings such a turn
as plain text, else in a turn of its own before all others. Models whose templates know one system turn
only are served by that. The history of a conversation will be put between the two.
"""

from flows.stages.jobs import Job
from schemas.requests import Message, Request

OPENING = "# Use this context to answer\n\n"
"""A heading, which the embedded model never quotes."""


def recall(job: Job) -> Job:
    """Fill in the job's messages. Needs the context in plain text (see `admit`)."""
    job.messages = messages_of(job.request)
    return job


def messages_of(request: Request) -> tuple[Message, ...]:
    """The turns of a request, oldest first; same request, same turns. What is to be embedded has none."""
    if request.input is not None:
        return ()
    own = tuple(request.messages or (Message(role="user", content=request.prompt),))
    if not request.context:
        return own
    section = f"{OPENING}{request.context}"
    first = own[0]
    if first.role in ("system", "developer") and isinstance(first.content, str):
        joined = first.model_copy(update={"content": f"{first.content}\n\n{section}"})
        return (joined, *own[1:])
    return (Message(role="system", content=section), *own)
