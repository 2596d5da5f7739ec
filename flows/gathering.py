"""What recall gathers from: each class makes a port a `Gatherer`. A history is plugged in likewise."""

from flows.ports import Recollection, References
from flows.recalling import STAGE
from flows.stages.jobs import Failed, Gathered, Job
from flows.stages.recall import question
from schemas.codes import Code
from schemas.memories import MemoryMode, MemoryProblem
from schemas.references import ReferenceProblem

NOTE = "memory"
"""Name of the remark that says what became of the recall."""
MAX_QUERY = 2000
"""Most characters of a question that are looked for."""


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


class UsersMemory:
    """What is remembered of the request's user. It never fails a request: what can't be had is remarked."""

    name = "the memory"
    field = "memory"

    def __init__(self, memory: Recollection) -> None:
        self._memory = memory

    def wants(self, job: Job) -> bool:
        """Whether the request asks for it."""
        mode = job.request.memory
        return mode is not None and mode is not MemoryMode.WRITE

    async def gather(self, job: Job) -> Gathered | Failed:
        """What fits the question best, or a remark."""
        request = job.request
        asked = question(request)[:MAX_QUERY]
        try:
            found = await self._memory.search(asked, request.tenant, request.memory_user)
        except MemoryProblem as problem:
            return Gathered(notes={NOTE: f"went on without: {problem}"})
        return Gathered(memories=tuple(found), notes={NOTE: f"{len(found)} recalled"})
