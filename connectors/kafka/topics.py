"""Make the topics that are missing, and say where those that exist differ. Nothing that exists is changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, for_code

from connectors.kafka.clients import address, admin
from connectors.kafka.errors import TopicMismatch, translate
from schemas.cluster import Cluster
from schemas.topics import TOPICS, Topic

_TOPIC_EXISTS = TopicAlreadyExistsError.errno
_LISTS = frozenset({"cleanup.policy"})
"""Settings whose value is a list, in any order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A topic that is not as the table has it."""

    topic: str
    """Its name on the cluster."""
    setting: str
    """`partitions`, `replication`, or the name of a topic setting."""
    wanted: str
    """As the table has it."""
    found: str
    """As the cluster has it; empty where it isn't set."""

    def __str__(self) -> str:
        """The difference in one line."""
        return f"{self.topic}: {self.setting} is {self.found or 'not set'}, Weir expects {self.wanted}"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `ensure_topics` did and saw; names are those on the cluster."""

    created: tuple[str, ...]
    """Topics that were missing."""
    existing: tuple[str, ...]
    """Topics that were there."""
    differences: tuple[Difference, ...]
    """Where those that were there differ from the table."""

    def require_partitions(self) -> None:
        """Refuse to go on where co-partitioning is broken; other differences are only reported.

        Raises:
            TopicMismatch: When a topic has another number of partitions.
        """
        for difference in self.differences:
            if difference.setting == "partitions":
                hint = "set WEIR_PARTITIONS to what is there, or use another WEIR_TOPIC_PREFIX"
                raise TopicMismatch(str(difference), hint=hint)


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replication: int


def ensure_topics(cluster: Cluster, topics: Iterable[Topic] = TOPICS) -> TopicReport:
    """Create what is missing of the table and compare what is there. Safe to run from several processes.

    Raises:
        KafkaProblem: When the broker is down, or refuses.
    """
    table = {cluster.topic(topic.name): topic for topic in topics}
    with admin(cluster) as client:
        before = _describe(client, table)
        missing = [name for name in table if name not in before]
        created = _create(client, cluster, {name: table[name] for name in missing})
        found = _describe(client, table)
        existing = [name for name in table if name not in created]
        settings = _settings_of(client, existing)
    differences: list[Difference] = []
    for name in existing:
        differences += compare(cluster, table[name], found.get(name), settings.get(name, {}))
    return TopicReport(tuple(created), tuple(existing), tuple(differences))


def compare(
    cluster: Cluster, topic: Topic, found: _Found | None, settings: Mapping[str, str]
) -> list[Difference]:
    """Where a topic differs from its row in the table. Pure."""
    name = cluster.topic(topic.name)
    pairs = [(key, value, settings.get(key, "")) for key, value in topic.configs().items()]
    if found is not None:
        pairs.insert(0, ("partitions", str(_partitions(cluster, topic)), str(found.partitions)))
        pairs.insert(1, ("replication", str(cluster.replication), str(found.replication)))
    return [
        Difference(name, key, wanted, seen)
        for key, wanted, seen in pairs
        if wanted != seen and not (key in _LISTS and set(wanted.split(",")) == set(seen.split(",")))
    ]


def _partitions(cluster: Cluster, topic: Topic) -> int:
    return cluster.partitions if topic.partitioned else 1


def _create(client: Any, cluster: Cluster, missing: Mapping[str, Topic]) -> list[str]:
    """Create topics and wait until they are there; those that another process made meanwhile don't count."""
    if not missing:
        return []
    wanted = {
        name: {
            "num_partitions": _partitions(cluster, topic),
            "replication_factor": cluster.replication,
            "configs": topic.configs(),
        }
        for name, topic in missing.items()
    }
    created: list[str] = []
    for answer in client.create_topics(wanted, raise_errors=False)["topics"]:
        code = answer["error_code"]
        if code == 0:
            created.append(answer["name"])
        elif code != _TOPIC_EXISTS:
            raise translate(for_code(code)(answer.get("error_message") or answer["name"]), address(cluster))
    client.wait_for_topics(list(missing))
    return created


def _describe(client: Any, names: Iterable[str]) -> dict[str, _Found]:
    return {
        topic["name"]: _Found(len(topic["partitions"]), len(topic["partitions"][0]["replica_nodes"]))
        for topic in client.describe_topics(list(names))
        if topic["error_code"] == 0 and topic["partitions"]
    }


def _settings_of(client: Any, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    answer = client.describe_configs(resources, config_filter="all")
    return {
        name: {key: str(entry["value"]) for key, entry in entries.items()}
        for name, entries in answer["topic"].items()
    }
