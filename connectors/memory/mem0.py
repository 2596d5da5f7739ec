"""A mem0 server as memory, by mem0's own client, with its telemetry off. Needs the extra `weir[mem0]`.

Searched by every worker; fed by one consumer (`weir memory follow`), off the way of requests.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from schemas.memories import MemoryPolicy, MemoryProblem, Remembered, memory_key, parse_key, scope_of

KEY = "weir_key"
"""Metadata of what we added: the record's key."""
PAGES = 20
"""Most pages that are deleted of one key."""
X = TypeVar("X")


class Mem0Memory:
    """A `Memory` on a mem0 server."""

    offset = 0
    """The consumer group knows how far the topic was read."""

    def __init__(self, policy: MemoryPolicy, timeout_s: float) -> None:
        """Connect.

        Raises:
            MemoryProblem: When the package is missing, or the server doesn't let us in.
        """
        os.environ["MEM0_TELEMETRY"] = "False"  # read when the package is imported
        os.environ.setdefault("MEM0_DIR", os.path.join(policy.folder, "mem0"))
        try:
            import httpx
            from mem0 import MemoryClient
        except ImportError as error:
            raise MemoryProblem(f"mem0 can't be loaded ({error}); install weir[mem0]") from None
        self._http: Any = httpx.Client(timeout=timeout_s)
        self._client: Any = _asked(
            lambda: MemoryClient(policy.mem0_api_key, policy.mem0_url, client=self._http)
        )

    def add(self, text: str, metadata: Remembered) -> None:
        """Keep a text, unless it is there already."""
        scope = scope_of(metadata.tenant, metadata.user)
        if not self._found(metadata.key):
            told = {KEY: metadata.key, "request_id": metadata.request_id, "at_ms": metadata.at_ms}
            _asked(lambda: self._client.add(text, filters={"user_id": scope}, metadata=told))

    def forget(self, key: str) -> None:
        """Delete all that came of this key."""
        for _ in range(PAGES):
            found = self._found(key)
            if not found:
                return
            for one in found:
                _asked(lambda one=one: self._client.delete(one["id"]))

    def search(self, query: str, user: str, limit: int) -> list[tuple[str, str]]:
        """Key and text of what fits best, best first."""
        if not query.strip():
            return []
        found: Any = _asked(lambda: self._client.search(query, filters={"user_id": user}, top_k=limit))
        results = found.get("results", []) if isinstance(found, dict) else found
        return [(str((one.get("metadata") or {}).get(KEY, "")), str(one["memory"])) for one in results][
            :limit
        ]

    def done(self, offset: int) -> None:
        """Nothing to do: the server keeps what it has."""

    def reset(self) -> None:
        """Nothing to do: what is there already isn't added again."""

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def _found(self, key: str) -> list[dict[str, Any]]:
        try:
            tenant, user, id_ = parse_key(key)
        except ValueError:
            return []
        scope, whole = scope_of(tenant, user), memory_key(tenant, user, id_)
        wanted = {"AND": [{"user_id": scope}, {"metadata": {KEY: whole}}]}
        found: Any = _asked(lambda: self._client.get_all(filters=wanted))
        return [one for one in found.get("results", []) if (one.get("metadata") or {}).get(KEY) == whole]


def _asked(ask: Callable[[], X]) -> X:
    try:
        return ask()
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise MemoryProblem(f"mem0 does not answer as it should: {type(error).__name__}: {text}") from error
