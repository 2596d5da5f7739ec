"""A real gateway in front of a real worker, on topics with a prefix."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from schemas.topics import USAGE
from tests.support.gateways import StreamClient, admin_key, running_gateways
from tests.support.installation import Installation, installed
from tests.support.kafka import Topics

TIMEOUT = aiohttp.ClientTimeout(total=60)


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "bench", "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.broker
def test_answers_come_through_worker_and_gateway_and_a_disconnect_cancels_the_call(
    topics: Topics, tmp_path: Path
):
    key = admin_key(topics.cluster)
    headers = {"authorization": f"Bearer {key}"}

    async def play(url: str) -> None:
        async with aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session:
            path = f"{url}/v1/chat/completions"
            async with session.post(path, json=body("hi")) as whole:
                assert whole.status == 200, await whole.text()
                answer = (await whole.json())["choices"][0]["message"]["content"]
            client = StreamClient(session, key, {})
            client.model = "bench"
            await client.chat(url)
            assert (client.told.done, client.told.error) == (True, "")
            assert "".join(client.told.pieces) == answer
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2), session.post(path, json=body("latency=20000 hi")):
                    pass

    with (
        installed(topics, tmp_path) as installation,
        running_gateways(topics.cluster, tmp_path, 1) as (gateway,),
    ):
        asyncio.run(play(gateway.url))
        ended = installation.until(lambda: _cancelled(installation), 1)

    assert len(ended) == 1


def _cancelled(installation: Installation) -> list[Any]:
    """Ledger entries of attempts that were cut short."""
    found = installation.read(USAGE)
    return [got for got in found if got.value.get("attempt", {}).get("outcome") not in (None, "ok")]
