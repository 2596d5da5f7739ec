"""Plays stories, two at a time: most of a story is waiting."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from connectors.kafka.topics import ensure_topics
from schemas.cluster import Cluster
from tests.breaks.counts import Counts, common
from tests.breaks.stage import Stage, StoryError, TooLateError
from tests.breaks.table import STORIES, Break
from tests.breaks.trees import copy_broken, copy_packages

AT_ONCE = 2
TRIES = 4
"""How often a story is played whose moment the machine misses."""


class Plays:
    """Every play that is wanted, begun in order; `counts` waits for one."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self._cluster, self._home = cluster, home
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="story")
        self._plays: dict[tuple[str, tuple[str, ...]], Future[Counts]] = {}
        self._whole = copy_packages(home / "whole")

    def begin(self, breaks: Iterable[Break]) -> None:
        """Begin the plays of these breaks, and of their stories with nothing broken."""
        for broken in breaks:
            self._begin(broken.story, ())
            self._begin(broken.story, broken.patches)
            if broken.also:
                self._begin(broken.story, broken.also)

    def counts(self, story: str, patches: tuple[str, ...] = ()) -> Counts:
        """The counts of a story with these patches; begun now if it was not."""
        return self._begin(story, patches).result()

    def close(self) -> None:
        """Wait for what is being played; begin nothing more."""
        self._pool.shutdown(cancel_futures=True)

    def tree(self, patches: tuple[str, ...]) -> Path:
        """Where the packages lie that a play with these patches runs."""
        return self._home / "-".join(sorted(patches)) if patches else self._whole

    def _begin(self, story: str, patches: tuple[str, ...]) -> Future[Counts]:
        key = (story, tuple(sorted(patches)))
        if key not in self._plays:
            self._plays[key] = self._pool.submit(self._play, *key)
        return self._plays[key]

    def _play(self, story: str, patches: tuple[str, ...]) -> Counts:
        tree = self.tree(patches)
        if patches and not tree.exists():
            copy_broken(self._whole, tree, patches)
        for number in range(TRIES):
            name = f"{story}-{'-'.join(patches) or 'whole'}-{number}"
            cluster = replace(self._cluster, prefix=f"{story}-{uuid4().hex[:8]}.", partitions=2)
            ensure_topics(cluster)
            with Stage(cluster, tree, self._home / "logs" / name) as stage:
                try:
                    return STORIES[story](stage)
                except TooLateError:
                    continue
                except StoryError:
                    if not patches:
                        raise
                    return common(stage.facts())  # a break may bring a story to a halt; what is seen counts
        raise TooLateError(f"too slow a machine: `{story}` missed its moment {TRIES} times")
