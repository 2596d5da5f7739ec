"""What recall gathers from: each class makes a port a `Gatherer`. A history is plugged in likewise."""

from flows.ports import References
from flows.recalling import STAGE
from flows.stages.jobs import Failed, Gathered, Job
from schemas.codes import Code
from schemas.references import ReferenceProblem


class ReferencedContext:
    """The context that a request names by `context_ref`."""

    name = "the referenced context"
    field = "context_ref"

    def __init__(self, references: References) -> None:
        self._references = references

    def wants(self, job: Job) -> bool:
        """Whether the request names one."""
        return job.request.context_ref is not None

    async def gather(self, job: Job) -> Gathered | Failed:
        """The text, or what is wrong with the reference."""
        request = job.request
        if request.context_ref is None:
            return Gathered()
        try:
            text, hold = await self._references.read(request.context_ref, request.tenant)
        except ReferenceProblem as problem:
            code = Code.MODEL_UNAVAILABLE if problem.retriable else Code.INVALID_REQUEST
            message = f"`{problem.field}`: {problem}"
            return Failed(code, message, STAGE, field=problem.field, dead_letter=not problem.retriable)
        return Gathered(context=text, hold=hold)
