"""The history of a conversation as turns to send. Pure.

Rules that hold here:
- Oldest first: of each turn what it brought, its leading system turns left out, then the answer.
- System turns hold until a later request brings its own: those that hold stand first.
- Calls of tools that nobody answered are left out with the provider's own content: providers refuse them.
  So are answers of tools whose call was left out.
"""

from collections.abc import Iterable, Sequence

from schemas.contexts import Past, leading_system
from schemas.requests import Message, Request

EMPTY = "(no text)"
"""Stands for an answer of which nothing else is left: a turn without content is refused by most."""


def history(request: Request, past: Past) -> tuple[Message, ...]:
    """The earlier turns for a request, to stand after its own leading system turns."""
    own = request.messages or [Message(role="user", content=request.prompt)]
    told = () if leading_system(own) else past.system
    asked = [turn.asked[leading_system(turn.asked) :] for turn in past.turns]
    made: list[Message] = []
    for at, turn in enumerate(past.turns):
        following = asked[at + 1] if at + 1 < len(asked) else own[leading_system(own) :]
        made += asked[at] if at else _without_orphans(asked[at])
        made.append(_answer(turn.answer, following))
    return (*told, *made)


def _without_orphans(messages: Sequence[Message]) -> Sequence[Message]:
    """The oldest turn, without answers of tools that were called before it."""
    first = next((at for at, each in enumerate(messages) if each.role != "tool"), len(messages))
    return messages[first:]


def _answer(answer: Message, following: Iterable[Message]) -> Message:
    """The assistant's turn; without its calls where what follows doesn't answer all of them."""
    if not answer.tool_calls:
        return answer
    answered = {each.tool_call_id for each in following if each.role == "tool"}
    if all(call.get("id") in answered for call in answer.tool_calls):
        return answer
    return Message(role="assistant", content=answer.content or EMPTY)
