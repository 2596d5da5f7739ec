"""Keeps tickets, and keys that were put there by mistake, out of uvicorn's log lines."""

import logging


class PathsOnly(logging.Filter):
    """Cuts the query off the address of each WebSocket, which uvicorn writes whole."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let each record through, with its texts cut at the question mark."""
        if isinstance(record.args, tuple):
            record.args = tuple(one.partition("?")[0] if isinstance(one, str) else one for one in record.args)
        return True


def hide_queries() -> None:
    """Let uvicorn write no query from now on."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, PathsOnly) for each in logger.filters):
        logger.addFilter(PathsOnly())
