"""How the bench asks the fake provider what it saw."""

import http.client
import urllib.error
import urllib.request

import orjson

from connectors.bench.child import Child
from connectors.bench.facts import ProviderCall
from connectors.bench.provider_book import read_log
from connectors.bench.provider_faults import Habits


def start_provider(habits: Habits, port: int = 0) -> Child:
    """Start the fake provider; the child's first line is its base URL."""
    return Child(
        "connectors.bench.provider",
        f"--port={port}",
        f"--latency-ms={habits.latency_ms}",
        f"--fault-ratio={habits.fault_ratio}",
        f"--seed={habits.seed}",
        f"--answer-bytes={habits.answer_bytes}",
        f"--pieces={habits.pieces}",
    )


class ProviderClient:
    """Asks a provider for its log; one that keeps none (not ours) answers with nothing."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")

    @property
    def api_base(self) -> str:
        """What a route's `api_base` is set to."""
        return f"{self._url}/v1"

    def calls(self) -> tuple[ProviderCall, ...]:
        """All calls so far, in the order of their start."""
        lines = self._get("/log")
        return () if lines is None else read_log(lines)

    def stats(self) -> dict[str, int] | None:
        """Counts; `None` where the provider keeps none."""
        body = self._get("/stats")
        return None if body is None else orjson.loads(body)

    def reset(self) -> None:
        """Forget the calls that ended."""
        urllib.request.urlopen(f"{self._url}/reset", data=b"", timeout=30).close()

    def _get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(self._url + path, timeout=60) as answer:
                return answer.read()
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return None
