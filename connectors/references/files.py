"""Opens files below a root. fsspec would follow links anywhere, and hang on a pipe.

The place is taken first without opening what lies there (O_PATH), then judged by what the kernel says it is
and where it really lies, and only then opened, through the very same handle: nothing is swapped meanwhile.
"""

import os
import stat
from typing import BinaryIO

from schemas.references import Away, Forbidden, Unfit


def open_file(path: str, root: str) -> tuple[BinaryIO, int]:
    """A file below a root, to be read, and its size at this moment.

    Raises:
        Forbidden: When a link leads out of the root.
        Unfit: When there is nothing, or something that is no file.
        Away: When the file system fails.
    """
    place = -1
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        within = os.path.realpath(root)
        real = os.readlink(f"/proc/self/fd/{place}")
        if not real.startswith(within.rstrip("/") + "/"):
            raise Forbidden("the address leads out of its root, over a link")
        found = os.fstat(place)
        if not stat.S_ISREG(found.st_mode):
            raise Unfit("there is no file there, but something else")
        handle = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        return os.fdopen(handle, "rb", buffering=0), found.st_size
    except (FileNotFoundError, NotADirectoryError):
        raise Unfit("there is no file there") from None
    except PermissionError:
        raise Unfit("Weir may not read the file there") from None
    except OSError as error:
        raise Away(f"the file can't be read now: {error.strerror}") from error
    finally:
        if place >= 0:
            os.close(place)
