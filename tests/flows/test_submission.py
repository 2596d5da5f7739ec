"""The rules of `weir submit`: what is asked, what isn't, and what is written."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.submission import (
    BadLine,
    Done,
    ForeignOutputError,
    Line,
    Submission,
    answer_line,
    bad_line,
    line_id,
    line_number,
    read_line,
    read_output,
    submission_name,
)
from schemas.codes import Code
from schemas.requests import MAX_REQUEST_BYTES
from schemas.responses import ErrorInfo, Latency, Response

LATENCY = Latency(queue_ms=0, routing_ms=0, provider_ms=0, total_ms=1)


def answered(number: int, code: Code | None = None) -> Response:
    error = None if code is None else ErrorInfo(code=code, message="no")
    text = None if code is not None else f"answer {number}"
    return Response(
        request_id=line_id("s", number), tenant="default", response=text, error=error, latency=LATENCY
    )


def numbers(texts: list[bytes]) -> list[int]:
    return [orjson.loads(text)["line"] for text in texts]


@given(st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True), st.integers(1, 10**9))
def test_line_number_reads_what_line_id_wrote(name: str, number: int):
    assert line_number(name, line_id(name, number)) == number


@pytest.mark.parametrize("other", ["t-1", "s1", "s-", "s-x", "s-١", "", "s-s-1", "-1"])
def test_id_of_something_else_has_no_line(other: str):
    assert line_number("s", other) is None


def test_name_depends_on_the_input_and_on_what_is_added_to_its_lines():
    names = {
        submission_name(b"a", {}),
        submission_name(b"b", {}),
        submission_name(b"a", {"model": "m"}),
        submission_name(b"a", {"model": "n"}),
    }

    assert len(names) == 4
    assert submission_name(b"a", {"model": "m"}) in names


def test_line_gets_its_id_and_the_defaults_it_lacks():
    line = read_line(7, b'{"prompt": "hi", "tenant": "own"}', "s", {"tenant": "given", "model": "m"})

    assert isinstance(line, Line)
    assert (line.request.request_id, line.request.tenant, line.request.model) == ("s-7", "own", "m")


def test_own_request_id_of_a_line_becomes_its_correlation_id():
    line = read_line(1, b'{"prompt": "hi", "request_id": "mine"}', "s", {})

    assert isinstance(line, Line)
    assert (line.request.request_id, line.request.correlation_id) == ("s-1", "mine")


def test_own_correlation_id_of_a_line_stays():
    line = read_line(1, b'{"prompt": "hi", "request_id": "mine", "correlation_id": "c"}', "s", {})

    assert isinstance(line, Line)
    assert line.request.correlation_id == "c"


def test_blank_line_asks_nothing():
    assert read_line(1, b"  \n", "s", {}) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"prompt": ""}', "prompt"),
        (b'{"prompt": "hi", "temperature": 9}', "temperature"),
        (b'{"model": "m"}', "prompt"),
        (b'"' + b"x" * MAX_REQUEST_BYTES, "bytes are more than"),
    ],
)
def test_line_that_is_no_request_says_why(text: bytes, said: str):
    bad = read_line(3, text, "s", {})

    assert isinstance(bad, BadLine)
    assert bad.number == 3
    assert said in bad.message
    assert "\n" not in bad.message


def test_output_holds_the_finished_lines_up_to_a_half_written_one():
    whole = answer_line(1, answered(1)) + bad_line(BadLine(2, "no", "prompt"), "s", "t")
    cut = answer_line(3, answered(3))[:-5]

    done, whole_bytes = read_output("s", (whole + cut).splitlines(keepends=True))

    assert done == [Done(1, None), Done(2, "invalid_request")]
    assert whole_bytes == len(whole)


def test_output_that_ends_well_is_kept_whole():
    whole = answer_line(1, answered(1)) + answer_line(2, answered(2, Code.INTERNAL))

    assert read_output("s", whole.splitlines(keepends=True))[1] == len(whole)


@pytest.mark.parametrize("foreign", [b"not json\n", b"[]\n", b'{"request_id": "t-1"}\n', b"{}\n"])
def test_output_of_something_else_is_refused(foreign: bytes):
    with pytest.raises(ForeignOutputError, match="line 2"):
        read_output("s", [answer_line(1, answered(1)), foreign])


def test_bad_line_without_a_field_has_none_in_the_output():
    assert "field" not in orjson.loads(bad_line(BadLine(1, "not JSON"), "s", "t"))["error"]


def test_line_that_stands_in_the_output_is_not_asked_again():
    submission = Submission("s")
    submission.written([Done(1, None), Done(2, "refused")])

    assert [submission.must_ask(number) for number in (1, 2, 3)] == [False, False, True]
    assert submission.failed == {2: "refused"}


def test_line_that_an_earlier_run_asked_is_waited_for_and_not_asked_again():
    submission = Submission("s")
    submission.found_request(1)

    assert not submission.must_ask(1)


def test_answer_found_on_the_topic_is_written_once():
    submission = Submission("s")
    submission.found_request(1)

    assert numbers(submission.found_response(1, answered(1))) == [1]
    assert submission.found_response(1, answered(1)) == []
    assert not submission.must_ask(1)


def test_mendable_failure_on_the_topic_is_asked_again_when_it_is_retried():
    submission = Submission("s", retry_failed=True)
    submission.found_request(1)

    assert submission.found_response(1, answered(1, Code.MODEL_UNAVAILABLE)) == []
    assert submission.must_ask(1)
    submission.found_request(1)
    assert not submission.must_ask(1)


def test_failure_that_a_repeat_cannot_mend_is_final_even_when_retried():
    submission = Submission("s", retry_failed=True)

    assert numbers(submission.found_response(1, answered(1, Code.INVALID_REQUEST))) == [1]
    assert submission.failed == {1: "invalid_request"}


def test_mendable_failure_on_the_topic_is_final_when_resumed():
    submission = Submission("s")

    assert numbers(submission.found_response(1, answered(1, Code.MODEL_UNAVAILABLE))) == [1]


def test_answered_line_waits_no_longer():
    submission = Submission("s")
    submission.asked(1, 10)
    submission.asked(2, 5)

    submission.answered(1, answered(1))

    assert submission.waiting == {2: 5}
    assert submission.waiting_bytes == 5


def test_answers_are_held_until_those_of_earlier_lines_are_there_when_ordered():
    submission = Submission("s", ordered=True)

    assert submission.answered(3, answered(3)) == []
    assert numbers(submission.answered(1, answered(1))) == [1]
    assert numbers(submission.blank(2)) == [3]
    assert submission.held == {}
    assert numbers(submission.bad(BadLine(4, "no"), "t")) == [4]


def test_ordered_run_goes_on_behind_what_the_output_holds():
    submission = Submission("s", ordered=True)
    submission.written([Done(1, None), Done(2, None)])

    assert numbers(submission.answered(3, answered(3))) == [3]


@given(st.permutations(range(1, 9)), st.booleans())
def test_every_line_is_written_exactly_once_and_in_order_when_ordered(order: list[int], ordered: bool):
    submission = Submission("s", ordered=ordered)
    written: list[int] = []
    for number in order:
        written += numbers(submission.answered(number, answered(number)))
        assert submission.answered(number, answered(number)) == []

    assert sorted(written) == list(range(1, 9))
    assert not ordered or written == sorted(written)
