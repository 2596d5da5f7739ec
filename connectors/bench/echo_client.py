"""Starts the echo, loads it, and reads from outside what it cost."""

from dataclasses import dataclass

from kafka.consumer.fetcher import ConsumerRecord

from connectors.bench import calculate
from connectors.bench.child import Child
from connectors.bench.echo import ECHO_IN, ECHO_OUT
from connectors.bench.topics_reader import read_to_ends
from schemas.cluster import Cluster


def start_echo(cluster: Cluster, answer_bytes: int) -> Child:
    """Start it; returns when it has its partitions. The topics must be there."""
    return Child(
        "connectors.bench.echo",
        f"--bootstrap={','.join(cluster.bootstrap)}",
        f"--prefix={cluster.prefix}",
        f"--partitions={cluster.partitions}",
        f"--answer-bytes={answer_bytes}",
    )


@dataclass(frozen=True, slots=True)
class EchoTimes:
    """From append to append, of the echoed records of one load."""

    echo_ms: list[float]
    """Each record's time, in milliseconds."""
    first_ms: int
    """Append of the first answer, Unix time in milliseconds."""
    last_ms: int
    """Append of the last one."""
    missing: int
    """Records without an answer."""

    def percentile(self, share: float) -> float:
        """The time that `share` of the records don't exceed, in milliseconds."""
        return calculate.percentile(self.echo_ms, share)


def read_echo(cluster: Cluster, prefix: str) -> EchoTimes:
    """Read both topics and match the records whose key starts with `prefix`."""
    stamps: dict[str, dict[bytes, int]] = {ECHO_IN.name: {}, ECHO_OUT.name: {}}

    def take(record: ConsumerRecord) -> None:
        if record.key is not None and record.key.startswith(prefix.encode()):
            stamps[record.topic[len(cluster.prefix) :]][record.key] = record.timestamp

    read_to_ends(cluster, (ECHO_IN, ECHO_OUT), take)
    asked, answered = stamps[ECHO_IN.name], stamps[ECHO_OUT.name]
    times = [float(answered[key] - append_ms) for key, append_ms in asked.items() if key in answered]
    ends = answered.values()
    return EchoTimes(times, min(ends, default=0), max(ends, default=0), len(asked) - len(times))
