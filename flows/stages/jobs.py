"""What flows: a job on its way to an answer, or a failure as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.stages.content import Measured
from schemas.arrivals import Identity
from schemas.calls import Answer, Route
from schemas.codes import Code
from schemas.packed import NO_OFFSET
from schemas.records import Outgoing, Record
from schemas.requests import Message, Request
from schemas.responses import Attempt, CompressionRecord, CountKind, LastChunk

NEAR_RATIO = 0.9
"""Share of a window's room from which on the provider's own count decides."""
UNMEASURED = Measured()
"""Before anything is counted."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure as a value; it becomes the response."""

    code: Code
    """Stable name."""
    message: str
    """What happened and what to do, in one line."""
    stage: str
    """The step that gave up."""
    field: str | None = None
    """The field at fault, as a dotted path."""
    dead_letter: bool = False
    """Whether the original bytes go to `llm.dead-letters` too."""


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """A route of a plan, with what may be spent on it."""

    route: Route
    """Where to."""
    max_tokens: int | None
    """Most tokens of the answer there."""
    budget_tokens: int | None = None
    """Most input tokens there, by the provider's count; `None` where the window isn't known."""
    input_tokens: int = 0
    """Upper bound of the input as it came, by the provider's count."""

    @property
    def near(self) -> bool:
        """Whether the input may be too long there: more than 0.9 of the room by its upper bound."""
        return self.budget_tokens is not None and self.input_tokens > NEAR_RATIO * self.budget_tokens

    @property
    def fits(self) -> bool:
        """Whether the input surely has room there."""
        return self.budget_tokens is None or self.input_tokens <= self.budget_tokens


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is sent to a route whose window is near: checked, and compressed where need be."""

    messages: tuple[Message, ...]
    """The turns to send there."""
    measured: Measured
    """Our own count of them, by class."""
    exact_tokens: int | None = None
    """The provider's own count of them, where it was asked."""
    record: CompressionRecord | None = None
    """What was left out, where something was."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Ordered routes to an answer, and why this order."""

    routes: tuple[PlannedRoute, ...]
    """Tried from the first to the last; never empty."""
    reason: str
    """Why the first one is first: `named`, `first healthy`, ..."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was fetched for a job from outside the request; the parts of several sources are joined."""

    context: str | None = None
    """Text that takes the place of the request's `context`."""
    history: tuple[Message, ...] = ()
    """Earlier turns of the conversation, oldest first."""
    memories: tuple[str, ...] = ()
    """What is remembered and may help, best first."""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Remarks for the response: what could not be had, by the name of its source."""
    hold: object = None
    """Kept for as long as the job lives; it gives back what the job occupies when it is dropped."""


NOTHING = Gathered()
"""What most jobs need from outside."""


@dataclass(slots=True)
class Job:
    """A request on its way through the steps. One owner at a time: each step fills in its part."""

    record: Record
    """The bytes it came from."""
    request: Request
    """What is asked."""
    request_id: str
    """Its id, given or made from its place."""
    request_hash: int
    """Hash of tenant and request id; 0 where the id was made from its place."""
    body_hash: int
    """Hash of what is asked, addresses left out."""
    taken_ms: int = 0
    """When the flow took it, Unix time in milliseconds."""
    deadline_ms: int | None = None
    """Moment after which no answer is wanted."""
    gathered: Gathered = NOTHING
    """What was fetched for it before `recall`."""
    messages: tuple[Message, ...] = ()
    """The turns to send, context included; filled by `recall`."""
    input_tokens: int = 0
    """Our count of them; filled by `count`."""
    measured: Measured = UNMEASURED
    """The same by class of content."""
    estimated_tokens: int = 0
    """What the model was thought to count, of what was sent to it; 0 where no route is known."""
    estimate_kind: CountKind = "estimate"
    """How far the estimate can be trusted, or our count where there is none."""
    cache: str = "off"
    """`hit`, `miss` or `off`; filled by `cache`."""
    plan: CallPlan | None = None
    """Filled by `route`."""
    fitted: dict[str, Fitted] = field(default_factory=dict[str, Fitted])
    """What is sent instead to the routes whose window is near, by their names; filled by `compress`."""
    notes: dict[str, str] = field(default_factory=dict[str, str])
    """Remarks of steps for the response's route reason."""

    @property
    def identity(self) -> Identity:
        """What the bookkeeping needs to know of it."""
        request = self.request
        return Identity(
            request.tenant, self.request_id, self.request_hash, self.body_hash, request.context_id
        )


@dataclass(slots=True)
class Ended:
    """The end of a record's way: an answer, a failure, a move, or a repeat. It becomes the outcome."""

    record: Record
    """The request record."""
    job: Job | None = None
    """The job; `None` where the record could not be read."""
    answer: Answer | None = None
    """What the provider answered."""
    failed: Failed | None = None
    """Why there is no answer."""
    move: Outgoing | None = None
    """The record that takes its place elsewhere."""
    repeat_of: int = NO_OFFSET
    """Offset of the response to the earlier request."""
    repeat: bool = False
    """Whether it is a repeat that gets no answer of its own."""
    owed: bool = False
    """Whether an earlier worker answered it at `repeat_of`, and only its turn is left to be written."""
    conflict: bool = False
    """Whether its id was used with another body; the earlier request keeps the id."""
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    """Every try, oldest first."""
    route: Route | None = None
    """Who answered."""
    reason: str = ""
    """Why that one."""
    last_chunk: LastChunk | None = None
    """Where the stream ended."""


Work = Job | Ended
"""What flows between the steps: a job, or what is already at its end and passes them by."""
