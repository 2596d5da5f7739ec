"""One run: fresh topics on a broker, a provider, workers, loads, and what is observed beside them."""

import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml
from kafka.errors import KafkaError

from connectors.bench.errors import SetupError, WorkerError
from connectors.bench.facts import Facts, Stop
from connectors.bench.load import MODEL, Item, Load, PlainItems
from connectors.bench.options import Options
from connectors.bench.provider_client import ProviderClient, start_provider
from connectors.bench.sampling import Sampler
from connectors.bench.topics_reader import TopicsReader
from connectors.bench.workers import Worker, end_all, kept, worker_env
from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.clients import admin
from connectors.kafka.topics import ensure_topics
from connectors.process.stack import STANDBY
from connectors.process.standby import Standby
from schemas.base import JsonObject
from schemas.cluster import Cluster
from schemas.topics import REQUESTS, TOPICS

Say = Callable[[str], None]
"""Where progress goes, a line at a time."""
LOAD = "load"
"""Prefix of the ids of a load."""
WARM = "warm"
"""Prefix of the ids that only have to be answered; figures leave them out."""
START_CRASHES = 5
"""A worker that ends this often before the first answers does not start at all."""
WARM_UP_S = 90.0
"""Longest wait for a worker's first answers, in seconds."""


class Run:
    """Use as a context: it makes everything at the start and ends everything at the end."""

    def __init__(
        self,
        options: Options,
        say: Say,
        *,
        fault_ratio: float = 0.0,
        models: Sequence[tuple[str, str]] = (),
        plugins: Sequence[str] = (),
        windows: Mapping[str, int] | None = None,
    ) -> None:
        """Remember what is wanted; nothing is started yet.

        Args:
            options: The options.
            say: Where progress goes.
            fault_ratio: Share of the requests whose first attempts fail at the fake provider.
            models: Further models of the workers' configuration beside `bench`: name and provider.
            plugins: Modules that the workers load.
            windows: Windows of models, in tokens.
        """
        self.options = options
        self.say = say
        self._fault_ratio = fault_ratio
        self._models = [(MODEL, "openai"), *models]
        self._plugins, self._windows = plugins, windows or {}
        self._exits = contextlib.ExitStack()
        self._loads: list[Load] = []
        self.workers: list[Worker] = []
        """All workers that were started, restarted ones once."""
        self.stops: list[Stop] = []
        """Kills and stops so far."""
        self.env: dict[str, str] = {}
        """Further environment of workers that are started from now on."""
        self.marks: dict[str, float] = {}
        """Moments that a scenario remembers for its figures, Unix time in milliseconds."""
        self._spare: Standby | None = None
        self.broker: EmbeddedBroker | None = None
        """Our own broker; `None` where another was named."""
        self.home = Path(tempfile.mkdtemp(prefix="weir-bench-"))
        """Folder of configuration and logs."""

    def __enter__(self) -> "Run":
        """Start broker, topics, provider and observers.

        Raises:
            KafkaProblem: When there is no broker.
            BenchError: When a helper does not come up.
        """
        with self._exits:
            self._set_up()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything; logs of workers stay in `home` until `forget`."""
        self._exits.close()

    def forget(self) -> None:
        """Remove logs and configuration."""
        shutil.rmtree(self.home, ignore_errors=True)

    def _set_up(self) -> None:
        options = self.options
        bootstrap = options.bootstrap
        if bootstrap is None:
            self.say("starting a broker")
            data = self.home / "broker"
            self.broker = EmbeddedBroker(data, 0, self.home / "broker.log", say=self.say)
            self._exits.callback(shutil.rmtree, data, ignore_errors=True)
            self._exits.callback(self.broker.stop)
            self.broker.start()
            bootstrap = self.broker.bootstrap
        prefix = f"bench-{secrets.token_hex(4)}."
        self.cluster = Cluster(tuple(bootstrap.split(",")), prefix=prefix, partitions=options.partitions)
        ensure_topics(self.cluster)
        if self.broker is None:
            self._exits.callback(self._delete_topics)
        url = options.provider_url
        if url is None:
            url = self._exits.enter_context(start_provider(options.habits(self._fault_ratio))).said
        self.provider = ProviderClient(url)
        self.config = self._write_config()
        self.reader = TopicsReader(self.cluster)
        self._exits.callback(self.reader.close)
        self.sampler = Sampler(lambda: [worker.pid for worker in self.workers if worker.alive])
        self._exits.callback(self.sampler.close)
        self._exits.callback(end_all, self.workers)

    def start_worker(self) -> Worker:
        """One more worker, supervised: it comes back whenever its process ends."""
        name = f"worker-{len(self.workers)}"
        options = self.options
        env = worker_env(
            self.cluster.bootstrap, self.cluster.prefix, self.cluster.partitions, options.session_ms
        )
        env |= self.env
        command = (*options.worker, "--config", str(self.config))
        if options.static and options.spare and self._spare is None:
            spare = Standby((*command, STANDBY), env=env, output=self.home / "spare.log")
            self._spare = self._exits.enter_context(kept(spare))
        name_env = {"WEIR_INSTANCE_ID": name} if options.static else {}
        worker = Worker(command, env | name_env, self.home / f"{name}.log", spare=self._spare)
        self.workers.append(worker)
        return worker

    def warm_up(self) -> None:
        """Have one request of each partition answered, so that connections stand.

        Raises:
            WorkerError: When they aren't within `WARM_UP_S`.
        """
        self.say("waiting for the first answers")
        partitions = self.options.partitions
        warm = PlainItems(f"{WARM}{len(self._loads)}", partitions, partitions, prompt="latency=0")
        self.pour(warm, rate=0).join()
        if self.wait_all(WARM_UP_S, give_up=self._crashing):
            return
        codes = [end.code for worker in self.workers for end in worker.exits]
        raise WorkerError(f"no worker answered (exit codes {codes}); see {self.home}")

    def pour(self, items: Sequence[Item] | None = None, rate: float | None = None) -> Load:
        """Start a load; by default the one that the options ask for."""
        options = self.options
        if items is None:
            items = PlainItems(LOAD, options.requests, options.partitions, size_bytes=options.size_bytes)
        speed = options.rate if rate is None else rate
        self.say(f"sending {len(items)} requests" + (f" at {speed:g}/s" if speed else " at once"))
        load = Load(self.cluster, self.cluster.topic(REQUESTS.name), items, speed)
        self._loads.append(load)
        return load

    def _crashing(self) -> bool:
        return any(len(worker.exits) >= START_CRASHES for worker in self.workers)

    def wait_all(self, patience_s: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Wait until all that was poured is answered; whether it was.

        Args:
            patience_s: Give up after this long without a further answer, in seconds.
            give_up: Whether to give up now.
        """
        for load in self._loads:
            load.join()
        due = sum(load.appended for load in self._loads)
        seen, changed_s, said_s = -1, time.monotonic(), time.monotonic()
        while (answered := self.reader.follow()) < due:
            now_s = time.monotonic()
            if answered != seen:
                seen, changed_s = answered, now_s
            elif give_up() or now_s - changed_s > patience_s:
                self.say(f"gave up: {due - answered} of {due} requests have no answer")
                return False
            if now_s - said_s > 5:
                said_s = now_s
                self.say(f"{answered} of {due} answered")
        return True

    def watch(self, seconds: float) -> None:
        """Let time pass and go on reading."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.reader.follow(0.1)

    def facts(self) -> Facts:
        """All that can be seen of the run now."""
        return self.reader.facts(self.provider.calls())

    def own_broker(self) -> EmbeddedBroker:
        """The embedded broker.

        Raises:
            SetupError: When the run uses another.
        """
        if self.broker is None:
            raise SetupError("this scenario kills the broker, so it runs on its own: leave out --bootstrap")
        return self.broker

    def _write_config(self) -> Path:
        address = {"api_base": self.provider.api_base, "api_key": "bench"}
        config: JsonObject = {
            "model_list": [
                {
                    "model_name": name,
                    "litellm_params": {"model": f"{provider}/{name}", **address},
                    "model_info": {"max_input_tokens": self._windows.get(name)},
                }
                for name, provider in self._models
            ],
            "router_settings": {"num_retries": 5},
        }
        if self._plugins:
            config["weir"] = {"plugins": list(self._plugins)}
        path = self.home / "bench.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def _delete_topics(self) -> None:
        with contextlib.suppress(KafkaError), admin(self.cluster) as client:
            client.delete_topics([self.cluster.topic(topic.name) for topic in TOPICS])
