"""The bare loop that Weir is measured against: consume, produce, acknowledge; a process of its own.

`python -m connectors.bench.echo --bootstrap HOST:PORT --prefix P --partitions N --answer-bytes N`. It reads
`bench.echo-in`, writes a value of `answer-bytes` with the same key to the same partition of
`bench.echo-out`, and commits each second what was acknowledged to it (by callback). It says `ready` when it
has its partitions, and ends when its standard input does.
"""

import argparse
import functools
import sys
import threading
import time
from typing import cast

from kafka import KafkaConsumer, KafkaProducer
from kafka.producer.future import RecordMetadata
from kafka.structs import OffsetAndMetadata, TopicPartition

from connectors.bench.load import make_producer
from connectors.kafka.clients import client_settings
from connectors.kafka.membership import remember_join
from schemas.cluster import Cluster
from schemas.topics import DAY_MS, Topic

ECHO_IN = Topic("bench.echo-in", "anything", True, DAY_MS, log_append_time=True)
ECHO_OUT = Topic("bench.echo-out", "as on bench.echo-in", True, DAY_MS, log_append_time=True)
ECHO_TOPICS = (ECHO_IN, ECHO_OUT)


class Echo:
    """The loop. `acknowledged` is written by the producer's thread, read by the loop's."""

    def __init__(self, cluster: Cluster, answer_bytes: int) -> None:
        self._answer = b"." * answer_bytes
        self._out = cluster.topic(ECHO_OUT.name)
        self._producer: KafkaProducer = make_producer(cluster)
        self._consumer = KafkaConsumer(
            cluster.topic(ECHO_IN.name),
            **client_settings(cluster),
            group_id=cluster.topic("bench-echo"),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
            max_poll_records=2000,
        )
        remember_join(self._consumer)
        self._acknowledged: dict[TopicPartition, int] = {}
        self._committed_s = time.monotonic()

    def wait_ready(self) -> None:
        """Poll until the group has given out the partitions."""
        while not self._consumer.assignment():
            self.turn()

    def turn(self) -> None:
        """One poll, one answer a record, and a commit each second."""
        for place, records in self._consumer.poll(timeout_ms=100).items():
            for record in records:
                future = self._producer.send(
                    self._out, key=record.key, value=self._answer, partition=record.partition
                )
                future.add_callback(functools.partial(self._acknowledge, place, record.offset))
        now_s = time.monotonic()
        if self._acknowledged and now_s - self._committed_s > 1:
            self._committed_s, done = now_s, self._acknowledged
            self._acknowledged = {}
            self._consumer.commit_async(
                {place: OffsetAndMetadata(offset + 1, "", -1) for place, offset in done.items()}
            )

    def close(self) -> None:
        """End both clients."""
        self._producer.close(timeout=10)
        self._consumer.close(autocommit=False)

    def _acknowledge(self, place: TopicPartition, offset: int, _: RecordMetadata) -> None:
        self._acknowledged[place] = offset


def main(arguments: list[str] | None = None) -> None:
    """Read the options and echo."""
    parser = argparse.ArgumentParser(description="The bare consume-produce loop of `weir bench paced`.")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--answer-bytes", type=int, default=500)
    given = parser.parse_args(arguments)
    cluster = Cluster(
        tuple(cast(str, given.bootstrap).split(",")), prefix=given.prefix, partitions=given.partitions
    )
    echo = Echo(cluster, given.answer_bytes)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    echo.wait_ready()
    print("ready", flush=True)
    while not ended.is_set():
        echo.turn()
    echo.close()


if __name__ == "__main__":
    main()
