"""A process that makes one call and says how it ended and how much memory it took: for answers of any size.

python -m tests.support.big_answer URL DIALECT MAX_ANSWER_BYTES STREAM
"""

import asyncio
import resource
import sys

from connectors.providers.pool import Way
from schemas.calls import Piece, ProviderError
from tests.support.calls import always, make_call, make_route
from tests.support.dialects import DIALECTS, PATIENT


async def end_of_call(url: str, shown: str, max_answer_bytes: int, stream: bool) -> str:
    """The length of the answer's text, or the class of the error."""
    [dialect] = [one for one in DIALECTS if one.shown == shown]
    route = make_route(dialect.name, api_base=url, api_key="sk-secret", timeouts=PATIENT)
    shell = dialect.shell(Way(), max_answer_bytes)
    call = make_call(route=route, stream=stream)

    async def sink(_piece: Piece) -> None:
        """Takes it and forgets it."""

    request = shell.encode(call)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        said = str(len((await shell.complete(call, request, sink, always)).text))
    except ProviderError as error:
        said = type(error).__name__
    await shell.close()
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    return f"{said} {grown_kb}"


if __name__ == "__main__":
    where, name, limit, streamed = sys.argv[1:]
    print(asyncio.run(end_of_call(where, name, int(limit), streamed == "True")))
