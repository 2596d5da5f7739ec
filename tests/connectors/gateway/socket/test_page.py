"""The page in a real browser: signing in, asking, the stream as it comes, cancelling, a cut, the keyboard."""

import asyncio
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from connectors.gateway.app import create_app
from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.admin import Admin
from connectors.gateway.ops import Ops
from connectors.gateway.ports import INVOKE
from connectors.gateway.socket.routes import PAGE
from tests.support.browser import browsing
from tests.support.doors import PASSWORD, House
from tests.support.sockets import FakeExchange, Fakes, serving


@dataclass
class Gate:
    """A gateway with real doors and a stand-in for Kafka, in a thread."""

    url: str
    key: str
    exchange: FakeExchange


@pytest.fixture(scope="module")
def gate() -> Generator[Gate]:
    house = House()
    house.clock.now_ms = 4_000_000_000_000
    key = asyncio.run(house.key(KeySpec("page", tenant="acme", scopes=(INVOKE,))))
    asyncio.run(house.user("ada"))
    fakes = Fakes(exchange=FakeExchange(pace_s=0.03))
    parts = replace(fakes.parts(), doors=house.doors, tickets=house.doors)
    admin = Admin(house.doors, house.accounts, house.signin, house.clock)
    with serving(create_app(parts, admin, Ops(parts, [], "gateway-test"))) as port:
        yield Gate(f"http://127.0.0.1:{port}", key, fakes.exchange)


@pytest.fixture(scope="module")
def context(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    """The browser; while it is open a loop runs in this thread, so all else is set up before."""
    with browsing(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def page(context: Any, gate: Gate) -> Generator[Any]:
    """A fresh visit; fails the test where the page reaches elsewhere, or the browser complains."""
    context.clear_cookies()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda one: complaints.append(one.url) if not is_ours(one.url, gate.url) else None)
    page.goto(gate.url)
    yield page
    page.close()
    assert [text for text in complaints if "401" not in text] == []


def is_ours(url: str, home: str) -> bool:
    return url.startswith((home, home.replace("http", "ws", 1), "data:"))


def sign_in(page: Any, gate: Gate) -> None:
    page.get_by_label("API key", exact=True).fill(gate.key)
    page.keyboard.press("Enter")
    page.get_by_text("connected", exact=True).wait_for()


def ask(page: Any, words: str) -> Any:
    """Ask; the newest turn."""
    page.get_by_label("Question", exact=True).fill(words)
    page.keyboard.press("Enter")
    return page.locator(".turn").last


def test_an_answer_shows_while_it_comes_and_then_what_it_cost(page: Any, gate: Gate):
    sign_in(page, gate)
    words = " ".join(f"word{n}" for n in range(40))
    turn = ask(page, words)
    turn.locator(".answer", has_text="word3").wait_for()
    early = turn.locator(".answer").text_content()
    turn.locator(".facts").wait_for()

    assert early.startswith("word0 word1")
    assert "word39" not in early
    assert turn.locator(".answer").text_content() == words + " "
    facts = turn.locator(".facts").inner_text()
    for fact in ("fake / tiny-1", "5 in, 7 out", "$0.0021", "303 ms", "first piece"):
        assert fact in facts
    assert turn.locator(".answer").get_attribute("aria-busy") == "false"
    assert page.get_by_label("Model").locator("option").all_text_contents() == ["auto", "tiny"]


def test_escape_cancels_and_the_page_goes_on(page: Any, gate: Gate):
    sign_in(page, gate)
    turn = ask(page, "wait for me")
    turn.locator(".answer", has_text="me").wait_for()
    page.keyboard.press("Escape")
    turn.locator(".ending", has_text="cancelled").wait_for()
    ask(page, "again").locator(".facts").wait_for()

    assert page.get_by_role("button", name="Cancel").is_hidden()


def test_a_cut_is_mended_and_the_answer_is_whole(page: Any, gate: Gate):
    sign_in(page, gate)
    words = " ".join(f"w{n}" for n in range(60))
    turn = ask(page, words)
    turn.locator(".answer", has_text="w5").wait_for()
    page.evaluate("socket.close()")
    page.get_by_text("trying again").wait_for()
    turn.locator(".facts").wait_for()

    assert turn.locator(".answer").text_content() == words + " "


def test_a_failure_is_shown_with_its_code(page: Any, gate: Gate):
    sign_in(page, gate)
    ask(page, "refuse").locator(".bad", has_text="overloaded: Kafka is away").wait_for()
    ask(page, "lost").locator(".bad", has_text="lost: a gap").wait_for()


def test_a_user_signs_in_by_name_comes_back_and_signs_out(page: Any, gate: Gate):
    page.get_by_label("a user's name").check()
    page.get_by_label("Name", exact=True).fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text=re.compile("\\w")).wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text("user:ada").wait_for()
    page.reload()
    page.get_by_text("connected", exact=True).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.reload()

    assert page.get_by_role("heading", name="Sign in").is_visible()
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"


def test_a_text_of_ones_own_and_earlier_questions_are_at_hand(page: Any, gate: Gate):
    sign_in(page, gate)
    page.get_by_role("button", name="Add a text").click()
    page.get_by_label("Text that the answer should draw on").fill("Ada wrote it.")
    ask(page, "first").locator(".facts").wait_for()
    ask(page, "second\nline").locator(".facts").wait_for()
    question = page.get_by_label("Question", exact=True)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")

    assert question.input_value() == "first"
    assert gate.exchange.asked[-1].prompt == "second\nline"
    assert gate.exchange.asked[-1].context == "Ada wrote it."


def test_all_can_be_done_with_the_keyboard_alone(page: Any, gate: Gate):
    page.locator("#key:focus").wait_for()
    page.keyboard.type(gate.key)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#question:focus").wait_for()
    page.get_by_text("connected", exact=True).wait_for()
    page.keyboard.type("hello there")
    page.keyboard.press("Enter")
    page.locator(".facts").wait_for()
    order = []
    for _ in range(3):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"

    assert order == ["model", "more", "send"]


def test_markup_in_an_answer_is_shown_and_not_run(page: Any, gate: Gate):
    sign_in(page, gate)
    hostile = "<img src=x onerror=alert(1)> <script>alert(2)</script> \x1b]52;c;aGk=\x07 done"
    turn = ask(page, hostile)
    turn.locator(".facts").wait_for()

    assert page.locator("#talk img, #talk script").count() == 0
    assert "<script>alert(2)</script>" in turn.locator(".answer").text_content()


def test_every_field_has_a_label_and_nothing_is_wider_than_a_phone(page: Any, gate: Gate):
    page.set_viewport_size({"width": 360, "height": 640})
    sign_in(page, gate)
    ask(page, "x" * 300).locator(".facts").wait_for()
    fields = "[...document.querySelectorAll('input,textarea,select')]"
    unlabelled = page.evaluate(f"{fields}.filter(one => !one.labels.length).map(one => one.id)")

    assert unlabelled == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_stands_out_from_its_ground_in_both_themes(theme: str):
    colours = palette(theme)
    for front in ("text", "soft", "mine", "bad"):
        for back in ("ground", "raised"):
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    assert contrast(colours["press-text"], colours["press"]) >= 4.5
    assert contrast(colours["focus"], colours["ground"]) >= 3


def palette(theme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", Path(PAGE / "style.css").read_text(encoding="utf-8"), re.S)
    found: dict[str, str] = {}
    for block in blocks[: 1 if theme == "dark" else 2]:
        found |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    return found


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
