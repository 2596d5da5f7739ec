"""The counts of a bench run, from facts alone; pure.

What each means:

lost                 request records without a response that weren't recognised as repeats or moved
duplicate_responses  second responses to one request record
stray_responses      responses that name no request record of this run
unstarted_calls      the k-th call of a request that had fewer than k `started` entries before it
repaid_calls         calls answered whole and made again, but for those whose answer was sent less than
                     `GRACE_MS` before a kill or stop (or while the stopped worker could not know)
unflagged_unknowns   responses without `unknown_outcome` although the provider saw a call that they don't list

Times compare as they are: the broker stamps a record before it is acknowledged and cuts to whole
milliseconds, so a call that waited for the acknowledgement never seems to precede its `started` entry.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import ceil

from connectors.bench.facts import Answered, Asked, Begun, Buried, Done, Place, ProviderCall, Stop

GRACE_MS = 1000.0
"""An answer sent this shortly before a kill need not have been written."""
AFTER_MS = 250.0
"""So long after the end of a process the provider may take an answer to a dead connection for sent."""


def lost(asked: Iterable[Asked], answered: Iterable[Answered], done: Iterable[Done]) -> list[Place]:
    """Request records that have no response and are due one, in the order of the log."""
    known = {answer.place for answer in answered} | {entry.place for entry in done if entry.unanswered}
    return [one.place for one in asked if one.place not in known]


def duplicate_responses(answered: Iterable[Answered]) -> int:
    """Responses beyond the first of each request record."""
    places = [answer.place for answer in answered if answer.place is not None]
    return len(places) - len(set(places))


def stray_responses(asked: Iterable[Asked], answered: Iterable[Answered]) -> int:
    """Responses whose source is none of the request records."""
    known = {one.place for one in asked}
    return sum(1 for answer in answered if answer.place not in known)


def unstarted_calls(asked: Iterable[Asked], begun: Iterable[Begun], calls: Iterable[ProviderCall]) -> int:
    """Calls that no `started` entry of their own preceded."""
    ids = {one.place: one.request_id for one in asked}
    first: dict[tuple[Place, int], int] = {}
    for entry in begun:
        key = (entry.place, entry.attempt)
        first[key] = min(entry.append_ms, first.get(key, entry.append_ms))
    stamps: defaultdict[str, list[int]] = defaultdict(list)
    for (place, _), append_ms in first.items():
        stamps[ids.get(place, "")].append(append_ms)
    for own in stamps.values():
        own.sort()
    return sum(
        1
        for request_id, own in calls_by_request(calls).items()
        for number, call in enumerate(own, start=1)
        if bisect_right(stamps.get(request_id, ()), call.start_ms) < number
    )


def repaid_calls(calls: Iterable[ProviderCall], stops: Sequence[Stop]) -> int:
    """Answers that were sent whole, in good time before any stop, and asked for again."""
    count = 0
    for own in calls_by_request(calls).values():
        for earlier, later in pairwise(own):
            if earlier.end != "finished" or earlier.end_ms is None:
                continue
            count += not _excused(earlier.end_ms, later.start_ms, stops)
    return count


def finished_again(calls: Iterable[ProviderCall]) -> int:
    """Answers that were sent whole and asked for again, excused or not."""
    return repaid_calls(calls, ())


def _excused(end_ms: float, again_ms: float, stops: Sequence[Stop]) -> bool:
    return any(
        stop.at_ms - GRACE_MS <= end_ms <= stop.until_ms + AFTER_MS and stop.at_ms <= again_ms
        for stop in stops
    )


def unknown_outcomes(answered: Iterable[Answered]) -> int:
    """Responses that say that an earlier call was never heard of again."""
    return sum(1 for answer in answered if answer.unknown_outcome)


def unflagged_unknowns(
    asked: Iterable[Asked], answered: Iterable[Answered], calls: Iterable[ProviderCall]
) -> int:
    """Responses that hide a call: the provider saw more than they list, and they don't say so.

    Requests that share an id with another record are left out: their calls can't be told apart.
    """
    ids = {one.place: one.request_id for one in asked}
    shared = Counter(ids.values())
    own = calls_by_request(calls)
    count = 0
    for answer in answered:
        request_id = ids.get(answer.place) if answer.place is not None else None
        if request_id is None or answer.unknown_outcome or shared[request_id] > 1:
            continue
        seen = sum(1 for call in own.get(request_id, ()) if call.start_ms <= answer.append_ms)
        count += seen > answer.known_attempts
    return count


def error_codes(answered: Iterable[Answered]) -> Counter[str]:
    """How often each failure stands on a response."""
    return Counter(answer.code for answer in answered if answer.code is not None)


def missing_dead_letters(
    answered: Iterable[Answered], buried: Iterable[Buried], codes: frozenset[str]
) -> list[Place]:
    """Request records that failed with one of `codes` and have no dead letter."""
    known = {letter.place for letter in buried}
    return [a.place for a in answered if a.code in codes and a.place is not None and a.place not in known]


def routing_ms(asked: Iterable[Asked], calls: Iterable[ProviderCall]) -> list[float]:
    """From each request's append to the start of its first call; requests without a call are left out."""
    own = calls_by_request(calls)
    return [own[one.request_id][0].start_ms - one.append_ms for one in asked if one.request_id in own]


def added_ms(
    asked: Iterable[Asked], answered: Iterable[Answered], calls: Iterable[ProviderCall]
) -> list[float]:
    """From each request's append to its response's, less the time of its calls at the provider."""
    own = calls_by_request(calls)
    responses: dict[Place | None, int] = {}
    for answer in answered:
        responses.setdefault(answer.place, answer.append_ms)
    added: list[float] = []
    for one in asked:
        append_ms = responses.get(one.place)
        if append_ms is None or one.request_id not in own:
            continue
        spent = sum(
            min(call.end_ms if call.end_ms is not None else append_ms, append_ms) - call.start_ms
            for call in own[one.request_id]
            if call.start_ms <= append_ms
        )
        added.append(append_ms - one.append_ms - spent)
    return added


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of them don't exceed, by nearest rank; 0 of none."""
    ranked = sorted(values)
    if not ranked:
        return 0.0
    return ranked[max(0, ceil(share * len(ranked) - 1e-9) - 1)]


def median(values: Iterable[float]) -> float:
    """The middle one, the mean of the two middle ones of an even number; 0 of none."""
    ranked = sorted(values)
    if not ranked:
        return 0.0
    half = len(ranked) // 2
    return ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2


def silence_s(asked: Iterable[Asked], answered: Iterable[Answered], from_ms: float, until_ms: float) -> float:
    """Longest time that a partition had unanswered requests and gave no answer, after a kill, in seconds.

    It begins at `from_ms`, or later where nothing was due then; from `until_ms` on only the first answer of
    a partition counts that gave none before.
    """
    appended: dict[Place | None, int] = {one.place: one.append_ms for one in asked}
    spans: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for answer in answered:
        if answer.place in appended and answer.append_ms > from_ms:
            spans[answer.partition].append((answer.append_ms, appended[answer.place]))
    longest_ms = 0.0
    for own in spans.values():
        own.sort()
        due_ms = list(accumulate((asked_ms for _, asked_ms in reversed(own)), min))[::-1]
        inside = sum(1 for answer_ms, _ in own if answer_ms <= until_ms) or 1
        stamps = [from_ms, *(answer_ms for answer_ms, _ in own[:inside])]
        silences = (b - max(a, due) for (a, b), due in zip(pairwise(stamps), due_ms, strict=False))
        longest_ms = max(longest_ms, *silences)
    return longest_ms / 1000


def return_s(answered: Iterable[Answered], from_ms: float) -> float:
    """Until every partition that answers at all after a moment has done so, in seconds."""
    firsts = [
        min(stamp for stamp in own if stamp > from_ms)
        for own in _stamps_by_partition(answered).values()
        if max(own) > from_ms
    ]
    return max((first - from_ms for first in firsts), default=0.0) / 1000


def requests_per_s(answered: Sequence[Answered]) -> float:
    """Responses per second, from the first to the last of them."""
    stamps = [answer.append_ms for answer in answered]
    span_ms = max(stamps, default=0) - min(stamps, default=0)
    return len(stamps) * 1000 / span_ms if span_ms else 0.0


def growth_ratio(samples: Sequence[tuple[int, float]], after: int) -> float:
    """Growth of a size over a run, as a share of what it was once `after` answers had been seen.

    Args:
        samples: (answers seen by then, size), oldest first.
        after: Answers to wait for before the size counts as settled.
    """
    settled = [size for seen, size in samples if seen >= after]
    if not settled:
        return 0.0
    tenth = max(1, len(settled) // 10)
    return median(settled[-tenth:]) / median(settled[:tenth]) - 1


def counts_at(stamps: Sequence[int], moments_ms: Iterable[float]) -> list[int]:
    """How many of the sorted `stamps` lie at or before each moment."""
    return [bisect_right(stamps, moment) for moment in moments_ms]


def calls_by_request(calls: Iterable[ProviderCall]) -> dict[str, list[ProviderCall]]:
    """The calls of each request, oldest first."""
    own: defaultdict[str, list[ProviderCall]] = defaultdict(list)
    for call in calls:
        own[call.request_id].append(call)
    for each in own.values():
        each.sort(key=lambda call: call.start_ms)
    return dict(own)


def _stamps_by_partition(answered: Iterable[Answered]) -> dict[int, list[int]]:
    stamps: defaultdict[int, list[int]] = defaultdict(list)
    for answer in answered:
        stamps[answer.partition].append(answer.append_ms)
    for own in stamps.values():
        own.sort()
    return stamps
