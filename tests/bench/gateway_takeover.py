"""A gateway is killed with streams open, a second one takes over: `python -m tests.bench.gateway_takeover`.

Every client comes back to the second gateway, half of them with their Idempotency-Key, the others for the
events of their request. One JSON line: `complete` is how many got the whole answer in order, `most_calls` how
often the most called request was called.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from schemas.cluster import Cluster
from tests.support.gateways import GatewayProcess, StreamClient, admin_key, running_gateways
from tests.support.kafka import fresh_topics, running_broker
from tests.support.replying import Replying

SHOWN = 3
"""Pieces that every client has when the first gateway is killed."""


async def play(
    gateways: list[GatewayProcess], key: str, streams: int, wish: dict[str, Any]
) -> dict[str, Any]:
    """Open the streams at the first, kill it, come back to the second."""
    first, second = gateways
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=120)
    ) as session:
        clients = [StreamClient(session, key, wish) for _ in range(streams)]
        asked = [asyncio.create_task(c.chat(first.url, f"key-{n}")) for n, c in enumerate(clients)]
        while any(len(client.told.pieces) < SHOWN for client in clients):
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in asked), next(t for t in asked if t.done())
        shown = [client.told for client in clients]
        first.kill()
        cut = await asyncio.gather(*asked, return_exceptions=True)
        killed_s = time.monotonic()
        await asyncio.gather(
            *(
                client.chat(second.url, f"key-{n}") if n % 2 else client.events(second.url, told.request_id)
                for n, (client, told) in enumerate(zip(clients, shown, strict=True))
            )
        )
        took_s = time.monotonic() - killed_s
    told = [client.told for client in clients]
    whole = [t.done and not t.error and t.in_order and len(t.pieces) == wish["chunks"] for t in told]
    return {
        "streams": streams,
        "cut": sum(isinstance(each, BaseException) for each in cut),
        "complete": sum(whole),
        "same_request": sum(a.request_id == b.request_id for a, b in zip(shown, told, strict=True)),
        "errors": sorted({t.error for t in told if t.error})[:3],
        "took_s": round(took_s, 2),
    }


def takeover(cluster: Cluster, home: Path, streams: int, wish: dict[str, Any]) -> dict[str, Any]:
    """The whole story on a cluster whose topics are there."""
    key = admin_key(cluster)
    with Replying(cluster) as workers, running_gateways(cluster, home, 2) as gateways:
        found = asyncio.run(play(gateways, key, streams, wish))
    calls = {"requests": len(workers.calls), "most_calls": max(workers.calls.values())}
    return found | calls | {"cancelled": len(workers.cancelled)}


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=4, help="pieces a second of each stream")
    found = parser.parse_args()
    wish = {"chunks": round(found.seconds * found.rate), "every_ms": round(1000 / found.rate)}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_broker(home / "kafka") as broker:
            result = takeover(fresh_topics(broker).cluster, home, found.streams, wish)
    print(orjson.dumps({"bench": "gateway_takeover", **result}).decode())


if __name__ == "__main__":
    main()
