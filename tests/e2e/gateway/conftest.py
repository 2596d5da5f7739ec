"""One installation for all clients: two providers, a worker, a gateway, and the clients as processes."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson
import pytest
import yaml

from connectors.bench.provider_client import ProviderClient, start_provider
from connectors.bench.provider_faults import Habits
from connectors.kafka.broker import EmbeddedBroker
from tests.support.clients import PROGRAMS, Client
from tests.support.gateways import admin_key, running_gateways
from tests.support.kafka import Topics, fresh_topics
from tests.support.scripted import Scripted, scripted_provider
from tests.support.worker import running_worker

PIECES = 20
PROVIDERS = {"openai": "/v1", "anthropic": "", "gemini": "", "ollama": ""}
"""Formats of the fake provider, and where it has them: models of these names."""
SCRIPTED = {"script": ("openai", "/v1"), "script-claude": ("anthropic", "")}
"""Models of the scripted provider: format, and where it has it."""


@dataclass
class Front:
    """The installation as a user sees it."""

    url: str
    admin: str
    topics: Topics
    fake: ProviderClient
    scripted: Scripted
    log: Path
    clients: dict[str, Client] = field(default_factory=dict[str, Client])

    def key(self, **limits: Any) -> str:
        """A new key."""
        body = orjson.dumps({"name": "a client", "scopes": ["llm:invoke"], **limits})
        headers = {"authorization": f"Bearer {self.admin}", "content-type": "application/json"}
        with urlopen(Request(f"{self.url}/api/keys", body, headers), timeout=20) as answer:
            return orjson.loads(answer.read())["key"]

    def client(self, name: str) -> Client:
        """A client, started when it is first wanted."""
        found = self.clients.get(name)
        if found is not None and found.ended:
            found.close()
        if found is None or found.ended:
            self.clients[name] = Client(PROGRAMS[name], self.url, self.key())
        return self.clients[name]


@pytest.fixture(scope="package")
def front(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Generator[Front]:
    home, topics = tmp_path_factory.mktemp("front"), fresh_topics(broker)
    config = home / "weir.yaml"
    with ExitStack() as exits:
        fake = ProviderClient(exits.enter_context(start_provider(Habits(latency_ms=40, pieces=PIECES))).said)
        scripted = exits.enter_context(scripted_provider())
        config.write_text(yaml.safe_dump(settings(fake.api_base.removesuffix("/v1"), scripted.url)))
        admin = admin_key(topics.cluster)
        exits.enter_context(running_worker(topics.cluster, home / "worker.log", WEIR_CONFIG=str(config)))
        (gateway,) = exits.enter_context(running_gateways(topics.cluster, home, 1, "--config", str(config)))
        made = Front(gateway.url, admin, topics, fake, scripted, gateway.log)
        try:
            yield made
        finally:
            for client in made.clients.values():
                client.close()


def settings(fake: str, scripted: str) -> dict[str, Any]:
    """What worker and gateway are configured with: no retries, and no route is ever left out."""
    ways = {name: (name, fake + path) for name, path in PROVIDERS.items()}
    ways |= {name: (kind, scripted + path) for name, (kind, path) in SCRIPTED.items()}
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"{kind}/some-model", "api_base": base, "api_key": "sk-fake"},
        }
        for name, (kind, base) in ways.items()
    ]
    return {"model_list": models, "router_settings": {"num_retries": 0, "allowed_fails": 1000}}
