"""What must hold before a gateway listens: beyond this machine only when somebody needs a key."""

from connectors.gateway.doors.book import Book
from connectors.gateway.doors.keys import good
from connectors.gateway.doors.sessions import is_loopback


def refusal(host: str, book: Book, now_ms: int) -> str | None:
    """Why a gateway may not listen there, in one line that says what to do; `None` where it may.

    A host name that isn't `localhost` counts as beyond, whatever it means here.
    """
    if is_loopback(host) or any(good(key, now_ms) for key in book.keys.values()):
        return None
    return (
        f"there are no keys yet, so nothing listens at {host}: "
        "make one with `weir keys create NAME --scope admin`, or start on 127.0.0.1 first"
    )
