"""The composition root: joins the flow with its connectors. The only module of flows that knows them.

    python -m bytewax.run 'flows.app:serve()'

serves with the settings of the environment; `weir worker` does the same with more manners.
"""

import asyncio
import atexit
import functools
import importlib
import logging
import os
import resource
import signal
import socket
import sys
from dataclasses import replace

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from connectors.contexts.contexts import Contexts
from connectors.kafka.answering import Answering
from connectors.kafka.calibration import CalibrationTopic
from connectors.kafka.clients import probe
from connectors.kafka.control import Control, Heard
from connectors.kafka.copies import Copies
from connectors.kafka.errors import KafkaProblem
from connectors.kafka.feeder import Feeder, FeederParts
from connectors.kafka.ledger import Ledger
from connectors.kafka.membership import boot_s
from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.quick import use_quick_clients
from connectors.kafka.recovery import Recovery, RecoveryParts
from connectors.kafka.rules.lease import Lease
from connectors.kafka.settling import Settling
from connectors.kafka.source import RequestSource, SettleSink
from connectors.kafka.warm import compile_wire
from connectors.metrics.recorder import Publisher, Recorder
from connectors.providers.ollama_lengths import with_lengths
from connectors.providers.registry import Registry
from connectors.tokenizers.counter import build as build_counter
from flows.app_recall import memory_of, recalling
from flows.app_windows import windows
from flows.bell import Bell
from flows.calibrations import Calibrations
from flows.calling import Calls
from flows.drive import CallPolicy, CallPorts
from flows.history import HistoryGatherer
from flows.orchestrate import build
from flows.settings import Settings, load
from flows.stages.estimates import assumed
from flows.stages.health import Health
from flows.stages.route import ASKED
from flows.steps import BoundSteps, StepPolicy, StepPorts
from flows.watchdog import Watchdog
from schemas.metrics import Snapshot
from schemas.records import Outgoing
from schemas.topics import (
    CALIBRATION,
    CHUNKS,
    CONTEXTS,
    DEAD_LETTERS,
    GATEWAY_REPLIES,
    MEMORIES,
    METRICS,
    REQUESTS,
    RESPONSES,
    USAGE,
)

_log = logging.getLogger(__name__)

FATAL = 70
"""Exit code of a worker that must not go on; its supervisor starts a new one."""
LOST_SESSIONS = 3
"""A worker whose lease has been out for so many sessions while the broker answers gives up."""
OPEN_FILES = 65_536
"""Soft limit of open files that a worker wants: one per call in flight."""
CLOSE_S = 5.0
"""Longest wait for the last records at the end."""
LOSABLE = (CHUNKS, METRICS, CALIBRATION, MEMORIES)
"""Topics that a worker writes without minding a loss."""
WRITTEN = (RESPONSES, USAGE, DEAD_LETTERS, REQUESTS, CONTEXTS)
"""Topics that a worker writes: their metadata is fetched before the first send."""
SWITCH_S = 0.0005
"""How long a thread keeps the interpreter from the others."""

_counter = functools.cache(build_counter)
"""A counter takes a while to build; a spare worker does it before it has its role."""


def fatal(reason: str) -> None:
    """End the process at once: what it holds must not be written. One line says why."""
    print(f"weir worker: {reason}; exiting", file=sys.stderr, flush=True)
    os._exit(FATAL)


class Worker:
    """Everything of one worker. Nothing is connected before the flow runs."""

    def __init__(self, settings: Settings) -> None:
        cluster, delivery = settings.cluster, settings.delivery
        self._settings = settings
        self._started = False
        self._lease = Lease(delivery.session.total_seconds())
        self._name = delivery.instance_id or f"{socket.gethostname()}-{os.getpid()}"
        self._bell = Bell()
        self._ownership = Ownership(delivery, self._allowed, self._bell.ring)
        self._outbox = Outbox(cluster, delivery, self._may_write, fatal)
        self._contexts = Contexts(cluster, delivery, settings.outside.conversations, self._outbox.send, fatal)
        fetch, keeping = Copies(cluster, fatal).fetch, self._contexts.keeping
        self._settling = Settling(cluster, self._ownership, self._outbox, fetch, keeping)
        owed = RecoveryParts(self._ownership, self._outbox, self._settling, self._contexts)
        recovery = Recovery(cluster, delivery, owed, fatal)
        parts = FeederParts(self._ownership, self._outbox, recovery, self._settling, self._lease)
        self._feeder = Feeder(cluster, delivery, parts, fatal)
        self._control = Control(cluster, delivery, self._ownership, self._outbox)
        self._registry = Registry()
        health = Health(settings.health)
        tokenizer = settings.counting.tokenizer
        self._calibrations = Calibrations(self._name, lambda provider: assumed(provider, tokenizer))
        self._calls = self._make_calls(health)
        self._counter = _counter(tokenizer)
        self._windows = windows(settings, self._counter.kind, self._calibrations, self._calls.loop)
        self._calls.fit = self._windows.fitter.fit_fallback
        self._lessons = CalibrationTopic(cluster, self._calibrations, self._publish)
        self._recorder = Recorder(self._name, "worker")
        self._publisher = Publisher(cluster.topic(METRICS.name), self._snapshot, self._publish)
        self._memory = memory_of(cluster, settings.outside)
        self._steps = BoundSteps(self._step_ports(), self._step_policy(), health)

    def _allowed(self) -> bool:
        return self._lease.valid(boot_s())

    def _may_write(self) -> bool:
        """Before the first join there is nothing to protect, and the producer must sign on."""
        return not self._lease.opened or self._allowed()

    def _make_calls(self, health: Health) -> Calls:
        cluster, delivery = self._settings.cluster, self._settings.delivery
        ledger = Ledger(cluster, delivery, self._ownership, self._outbox)
        ports = CallPorts(self._registry, ledger, self._ownership, self._outbox, self._allowed)
        retry_unknown = delivery.unknown_outcome == "retry"
        policy = CallPolicy(self._settings.retry, retry_unknown, cluster.topic(CHUNKS.name))
        return Calls(ports, policy, health)

    def _step_ports(self) -> StepPorts:
        return StepPorts(
            door=self._ownership,
            counter=self._counter,
            submit=self._calls.submit,
            answers=Answering(self._settings.cluster, self._ownership, self._outbox, self._settling.copy),
            reply_topics=lambda: self._control.reply_topics,
            observe=self._recorder.observe,
            counting=self._windows.counting,
            fitter=self._windows.fitter,
            calibrations=self._calibrations,
            recalling=recalling(
                self._settings.outside, self._memory, self._calls.loop, HistoryGatherer(self._contexts)
            ),
        )

    def _step_policy(self) -> StepPolicy:
        settings = self._settings
        prefixes = settings.delivery.reply_prefixes
        return StepPolicy(settings.cluster, settings.catalogue(), settings.limits, prefixes, ASKED)

    def flow(self) -> Dataflow:
        """The serving flow; building it touches nothing outside."""
        for name in self._settings.plugins:
            importlib.import_module(name).register(self._registry)
        source = RequestSource(
            self._ownership, self._outbox, self._feeder, start=self.start, rest=self._bell.rest
        )
        return build(source, self._steps, SettleSink(self._settling), bell=self._bell)

    def start(self) -> None:
        """Connect: cancels first, then the group."""
        self._started = True
        cluster = self._settings.cluster
        needed, losable = ([cluster.topic(topic.name) for topic in topics] for topics in (WRITTEN, LOSABLE))
        written = self._outbox.open(needed, losable, along=cluster.topic(GATEWAY_REPLIES.name))
        for topic, partitions in written.items():
            if partitions != cluster.partitions:
                fatal(
                    f"{topic} has {partitions} partitions, {cluster.partitions} are set: set WEIR_PARTITIONS"
                )
        self._calls.open(fatal)
        asyncio.run_coroutine_threadsafe(self._registry.warm(self._settings.routes), self._calls.loop)
        self._control.start(Heard(self._calls.cancel, self._contexts.forget), fatal)
        self._publisher.start()
        self._lessons.start()
        self._watchdog().start()
        self._feeder.start()

    def _watchdog(self) -> Watchdog:
        cluster, session = self._settings.cluster, self._settings.delivery.session

        def answers() -> bool:
            try:
                probe(cluster)
            except KafkaProblem:
                return False
            return True

        bound_s = LOST_SESSIONS * session.total_seconds()
        return Watchdog(lambda: self._lease.overdue_s(boot_s()), bound_s, answers, fatal)

    def stop(self, *_: object) -> None:
        """Feed no more (on a signal, too); the flow ends when all has settled, or the drain bound is over."""
        self._feeder.stop()

    def close(self) -> None:
        """After the flow has ended: write what is left, end threads and connections; not before `start`."""
        if not self._started:
            return
        self._publisher.stop()
        self._lessons.stop()
        self._control.stop()
        self._contexts.stop()
        self._memory.close()
        self._calls.close()
        self._outbox.close(CLOSE_S)

    def _snapshot(self) -> Snapshot:
        owned = self._ownership
        gauges = {
            "under_way": float(owned.under_way),
            "buffered_bytes": float(owned.buffered_bytes),
            "outbox_bytes": float(self._outbox.bytes),
            "partitions": float(len(owned.partitions)),
            "window_entries": float(len(owned.window)),
            "calls": float(len(self._calls.active)),
            **self._registry.gauges(),
            **self._contexts.gauges(),
        }
        counters = dict(owned.counters)
        counters["window_overwritten"] = owned.window.overwritten
        counters["cancels_dropped"] = owned.cancels.dropped
        counters["calibrations_unreadable"] = self._calibrations.unreadable
        return self._recorder.snapshot(counters, gauges)

    def _publish(self, record: Outgoing) -> None:
        self._outbox.send(record, lost=lambda _: None)


def prepare() -> None:
    """Set the process up for many calls at once."""
    sys.setswitchinterval(SWITCH_S)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    use_quick_clients()


def _on_signals(worker: Worker) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)


def serve() -> Dataflow:
    """The serving flow with the settings of the environment, for `python -m bytewax.run`."""
    settings = load(None, os.environ)
    prepare()
    worker = Worker(replace(settings, routes=with_lengths(settings.routes)))
    _on_signals(worker)
    atexit.register(worker.close)
    return worker.flow()


def warm(settings: Settings) -> None:
    """Do what takes time and touches nothing outside, so that `run_worker` need not."""
    _counter(settings.counting.tokenizer)
    compile_wire()
    for name in settings.plugins:
        importlib.import_module(name)


def run_worker(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0 after an orderly end.

    Raises:
        KafkaProblem: When no broker answers at the start.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for line in settings.warnings:
        _log.warning("%s", line)
    prepare()
    probe(settings.cluster)
    worker = Worker(replace(settings, routes=with_lengths(settings.routes)))
    flow = worker.flow()
    _on_signals(worker)
    cli_main(flow)
    worker.close()
    return 0
