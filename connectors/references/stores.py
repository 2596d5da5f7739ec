"""Opens objects of stores through fsspec; its configuration and the store's own say how to sign in."""

from typing import Any, BinaryIO, cast

import fsspec

from schemas.references import Away, Unfit

BLOCK_BYTES = 4 * 1024 * 1024
"""How much is asked of a store at a time."""


def check_installed(protocol: str) -> None:
    """See that the package which reads such a store is there.

    Raises:
        ValueError: When it isn't; fsspec's text says which.
    """
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise ValueError(str(error)) from None


def open_object(protocol: str, path: str) -> tuple[BinaryIO, int | None]:
    """An object of a store, to be read, and its size where the store tells it. Blocks.

    Raises:
        Unfit: When there is no such object.
        Away: When the store fails.
    """
    try:
        store: Any = fsspec.filesystem(protocol)
        found: dict[str, object] = store.info(path)
        if found.get("type") != "file":
            raise Unfit("there is no object there, but a folder")
        size = found.get("size")
        opened: Any = store.open(path, "rb", block_size=BLOCK_BYTES, cache_type="readahead")
    except FileNotFoundError:
        raise Unfit("there is no object there") from None
    except PermissionError:
        raise Unfit("Weir may not read the object there") from None
    except Unfit:
        raise
    except Exception as error:
        raise Away(f"the store can't be read now: {type(error).__name__}") from error
    return cast(BinaryIO, opened), size if isinstance(size, int) else None
