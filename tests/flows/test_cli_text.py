"""What commands say and read as text."""

import pytest
import typer

from flows.cli_text import ended, failure, millis, receipt, seconds, seconds_option, usd
from schemas.codes import Code
from schemas.responses import Attempt, ErrorInfo, Latency, Response, Usage

LATENCY = Latency(queue_ms=1, routing_ms=2, provider_ms=3, total_ms=2400)


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("500ms", 0.5), ("60s", 60), ("5m", 300), ("1h", 3600), ("2d", 172800), ("30", 30), ("1.5s", 1.5)],
)
def test_durations_are_read_with_their_unit(text: str, length_s: float):
    assert seconds(text) == length_s


@pytest.mark.parametrize("text", ["", "s", "-1s", "5 minutes", "1e3"])
def test_text_that_is_no_duration_is_refused_with_examples(text: str):
    with pytest.raises(ValueError, match="500ms"):
        seconds(text)


def test_bad_duration_of_an_option_is_a_usage_error():
    with pytest.raises(typer.BadParameter, match="not a duration"):
        seconds_option("soon")


@pytest.mark.parametrize(("amount", "text"), [(0, "$0"), (0.000123, "$0.000123"), (1.25, "$1.25")])
def test_money_shows_small_amounts(amount: float, text: str):
    assert usd(amount) == text


@pytest.mark.parametrize(("length_ms", "text"), [(850.2, "850 ms"), (2400, "2.4 s")])
def test_times_over_a_second_are_in_seconds(length_ms: float, text: str):
    assert millis(length_ms) == text


def test_receipt_names_route_tokens_cost_and_time():
    response = Response(
        request_id="r",
        tenant="t",
        response="x",
        provider="ollama",
        model="m",
        usage=Usage(input_tokens=10, output_tokens=2),
        latency=LATENCY,
    )

    assert receipt(response) == "ollama:m, 10+2 tokens, $0, 2.4 s"


def test_receipt_tells_of_more_attempts_and_of_an_unknown_outcome():
    attempt = Attempt(
        attempt=1, route="a:b", provider="a", model="b", outcome="unavailable", started_ms=1, duration_ms=1
    )
    response = Response(
        request_id="r", tenant="t", attempts=[attempt, attempt], unknown_outcome=True, latency=LATENCY
    )

    assert receipt(response).startswith("no route, 0 tokens")
    assert "2 attempts" in receipt(response)
    assert "paid twice" in receipt(response)


@pytest.mark.parametrize(("field", "text"), [("prompt", "refused (prompt): no"), (None, "refused: no")])
def test_failure_names_code_field_and_message(field: str | None, text: str):
    error = ErrorInfo(code=Code.REFUSED, message="no", field=field)

    assert failure(Response(request_id="r", tenant="t", error=error, latency=LATENCY)) == text


def test_answer_has_no_failure():
    assert failure(Response(request_id="r", tenant="t", response="x", latency=LATENCY)) == ""


def test_ended_says_why_on_stderr(capsys: pytest.CaptureFixture[str]):
    assert ended("because", code=3).exit_code == 3
    assert capsys.readouterr().err == "weir: because\n"
