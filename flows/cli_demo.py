"""What `make run` does: bring Weir up, ask a dozen questions about its own documents, show the answers.

Then it stays up and says what to try next; with `ONCE=1` it ends, with 0 when all were answered, and leaves
nothing running.
"""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from connectors.kafka.broker import DEFAULT_PORT
from connectors.kafka.client import Client, named
from connectors.kafka.clients import address, quieten_kafka_logs
from connectors.kafka.errors import KafkaProblem
from connectors.kafka.offsets import group_state
from connectors.process import state
from connectors.process.errors import ProcessProblem
from connectors.process.stack import Stack, StackOptions
from flows.cli_demo_models import choose
from flows.cli_settings import KAFKA
from flows.cli_text import millis, note, usd
from flows.demo_questions import QUESTIONS, document
from flows.demo_screen import Screen
from flows.settings import SettingsError, load
from schemas.cluster import Cluster
from schemas.requests import Request

ROOT = Path(__file__).resolve().parent.parent
ANSWERS_TIMEOUT_S = 600.0
"""Longest wait for all answers: a local model on a small machine is slow."""


def main() -> int:
    """Run the demo; the exit code."""
    quieten_kafka_logs()
    env = dict(os.environ)
    try:
        for line in choose(env):
            note(f"models: {line}")
        settings = load(None, env)
        embedded = not env.get(KAFKA) and settings.cluster.bootstrap == Cluster().bootstrap
        options = StackOptions(
            cluster=settings.cluster, embedded=embedded, port=_port(), drain=settings.delivery.drain
        )
        with state.only_one(options.run_dir):
            return _run(Stack(options, note, env), once=env.get("ONCE", "") not in ("", "0"))
    except (KafkaProblem, ProcessProblem, SettingsError) as problem:
        note(f"weir: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130


def _port() -> int:
    """The usual port, or any where another program has it."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return 0
    return DEFAULT_PORT


def _run(stack: Stack, *, once: bool) -> int:
    """Bring all up, ask from a thread of its own, supervise until it is over."""
    stop, hurry = threading.Event(), threading.Event()
    failures: list[str] = []
    stack.start()

    def on_signal(*_: object) -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)

    def questions() -> None:
        try:
            wait_for_worker(stack.cluster, stop)
            failures.extend(ask_all(stack.cluster, stop))
        except (KafkaProblem, OSError) as problem:
            failures.append(str(problem))
        if once:
            stop.set()
        elif not stop.is_set():
            _say_next(stack.cluster)

    asking = threading.Thread(target=questions, name="questions")
    asking.start()
    try:
        stack.run(stop)
    finally:
        stop.set()
        asking.join()
        stack.stop(hurry)
    for failure in failures:
        note(f"weir: {failure}")
    return 1 if failures else 0


def wait_for_worker(cluster: Cluster, stop: threading.Event, bound_s: float = 30.0) -> None:
    """Return when a worker serves, so that its start is not in the figures; or when the time is over."""
    until_s = time.monotonic() + bound_s
    while not stop.wait(0.2) and time.monotonic() < until_s:
        group = group_state(cluster)
        if group.state == "Stable" and group.members:
            return


def ask_all(cluster: Cluster, stop: threading.Event) -> list[str]:
    """Ask every question at once, print the answers and the table; what failed, in words.

    Raises:
        KafkaProblem: When Kafka fails us.
        OSError: When a document can't be read.
    """
    requests = [
        named(Request(prompt=one.text, context=document(ROOT, one.document), stream=True, tenant="demo"))
        for one in QUESTIONS
    ]
    titles = {
        str(request.request_id): f"{one.text}  [{one.document}]"
        for request, one in zip(requests, QUESTIONS, strict=True)
    }
    screen = Screen(titles)
    with Client(cluster) as client:
        client.follow(requests)
        for request in requests:
            client.put(request, wait=False)
        client.flush()
        until_s = time.monotonic() + ANSWERS_TIMEOUT_S
        while not screen.complete and not stop.is_set() and time.monotonic() < until_s:
            for event in client.events(0.1):
                print(screen.take(event), end="", flush=True)
    _table(screen)
    failed = [
        f"question {at} failed: {screen.responses[name].error or 'no answer'}"
        for at, name in enumerate(titles, start=1)
        if name in screen.responses and screen.responses[name].error is not None
    ]
    missing = len(titles) - len(screen.responses)
    return failed + ([f"{missing} questions have no answer"] if missing else [])


def _table(screen: Screen) -> None:
    """Latency, tokens and cost of each answer."""
    question = Column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    table = Table("", question, "model", "total", "provider", "tokens in", "out", "cost", expand=True)
    for at, (name, title) in enumerate(screen.titles.items(), start=1):
        response = screen.responses.get(name)
        if response is None:
            table.add_row(str(at), title, "no answer")
            continue
        usage = response.usage
        table.add_row(
            str(at),
            title.partition("  [")[0],
            response.model or (response.error.code if response.error else "-"),
            millis(response.latency.total_ms),
            millis(response.latency.provider_ms),
            str(usage.input_tokens if usage else "-"),
            str(usage.output_tokens if usage else "-"),
            usd(response.cost_usd),
        )
    Console().print(table)


def _say_next(cluster: Cluster) -> None:
    weir = ".venv/bin/weir"
    note(
        f"\nWeir is up; Kafka at {address(cluster)}. Try, in another terminal:\n"
        f'  {weir} ask "What is a fence?" --context contracts/generated/topics.md\n'
        f"  {weir} tail responses --from -3\n"
        f"  {weir} lag\n"
        f"  {weir} status\n"
        "Ctrl-C stops it."
    )


if __name__ == "__main__":
    sys.exit(main())
