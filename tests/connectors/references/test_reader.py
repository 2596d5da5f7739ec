"""Reading by reference: what is read, and hostile files within bounded time and memory."""

import asyncio
import gc
import hashlib
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import pytest
import zstandard

from connectors.references import reader as module
from connectors.references.reader import Budget, References
from schemas.references import Away, ContextRef, Forbidden, ReferencePolicy, ReferenceProblem, Unfit

MIB = 1024 * 1024


def references(root: Path, max_bytes: int = MIB, held_bytes: int = 64 * MIB) -> References:
    return References(ReferencePolicy((f"file://{root}",), max_bytes, held_bytes))


def read(root: Path, name: str = "x.txt", max_bytes: int = MIB, **fields: Any) -> str:
    ref = ContextRef(url=f"file://{root}/{name}", **fields)
    return asyncio.run(references(root, max_bytes).read(ref, "acme"))[0]


def refusal(root: Path, name: str = "x.txt", max_bytes: int = MIB, **fields: Any) -> ReferenceProblem:
    begun_s = time.monotonic()
    with pytest.raises(ReferenceProblem) as caught:
        read(root, name, max_bytes, **fields)

    assert time.monotonic() - begun_s < 5
    return caught.value


def test_a_file_is_read_as_it_lies(tmp_path: Path):
    (tmp_path / "x.txt").write_text("\ufeffGrüße\r\n\x00 \U0001f600", encoding="utf-8")

    assert read(tmp_path) == "Grüße\r\n\x00 \U0001f600"


def test_an_empty_file_is_an_empty_context(tmp_path: Path):
    (tmp_path / "x.txt").touch()

    assert read(tmp_path, size_bytes=0) == ""


def test_size_and_hash_are_checked_where_they_are_given(tmp_path: Path):
    (tmp_path / "x.txt").write_bytes(b"hello")
    good = hashlib.sha256(b"hello").hexdigest()

    assert read(tmp_path, size_bytes=5, sha256=good.upper()) == "hello"
    assert refusal(tmp_path, size_bytes=4).field == "context_ref.size_bytes"
    assert refusal(tmp_path, sha256="0" * 64).field == "context_ref.sha256"


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path):
    with (tmp_path / "x.txt").open("wb") as file:
        file.truncate(1 << 40)
    problem = refusal(tmp_path)

    assert isinstance(problem, Unfit)
    assert str(problem) == f"has more than {MIB} bytes; a context may have {MIB} (weir.references.max_bytes)"
    assert "may have" in str(refusal(tmp_path, "nothing-there", size_bytes=MIB + 1))


def test_a_file_that_grows_after_its_size_was_taken_is_refused_at_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "x.txt"
    path.write_bytes(b"x")
    opened = module.open_file
    read_bytes = 0

    class Counted:
        def __init__(self, handle: BinaryIO) -> None:
            self._handle = handle

        def read(self, size: int) -> bytes:
            nonlocal read_bytes
            piece = self._handle.read(size)
            read_bytes += len(piece)
            return piece

        def __enter__(self) -> "Counted":
            return self

        def __exit__(self, *_: object) -> None:
            self._handle.close()

    def open_then_grow(path: str, root: str) -> tuple[Counted, int]:
        handle, size = opened(path, root)
        with open(path, "ab") as file:
            file.truncate(1 << 30)
        return Counted(handle), size

    monkeypatch.setattr(module, "open_file", open_then_grow)

    assert "more than" in str(refusal(tmp_path))
    assert read_bytes <= 2 * MIB


@pytest.mark.parametrize("where", ["/etc/hostname", "/dev/zero", "/proc/self/environ", ".."])
def test_a_link_out_of_the_root_is_refused(tmp_path: Path, where: str):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "x.txt").symlink_to(where)

    assert isinstance(refusal(tmp_path / "root"), Forbidden)


def test_a_folder_that_is_a_link_out_of_the_root_is_refused(tmp_path: Path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "x.txt").touch()
    (tmp_path / "root" / "sub").symlink_to(tmp_path / "root-2")

    assert isinstance(refusal(tmp_path / "root", "sub/x.txt"), Forbidden)


def test_a_link_within_the_root_and_a_root_that_is_a_link_are_followed(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "real" / "x.txt").symlink_to("a.txt")
    (tmp_path / "root").symlink_to("real")

    assert read(tmp_path / "root") == "a"


def test_a_link_that_is_swapped_in_after_the_check_opens_nothing_else(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()
    path = root / "x.txt"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            path.unlink(missing_ok=True)
            path.write_text("mine", encoding="utf-8")
            path.unlink()
            path.symlink_to(secret)

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[str] = set()
    for _ in range(300):
        try:
            seen.add(read(root))
        except ReferenceProblem:
            seen.add("refused")
    stop.set()
    thread.join()

    assert "secret" not in seen


def test_pipes_devices_sockets_and_folders_are_refused_and_nobody_waits(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        assert "no file" in str(refusal(tmp_path, name))
    assert "no file" in str(refusal(Path("/dev"), "zero"))
    assert "no file" in str(refusal(Path("/dev"), "tty"))
    assert "no file" in str(refusal(tmp_path, "nothing"))
    assert "no file" in str(refusal(tmp_path, "pipe/x"))


def test_what_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def forbidden(*_: object) -> int:
        raise PermissionError

    (tmp_path / "x.txt").touch()
    monkeypatch.setattr("connectors.references.files.os.open", forbidden)

    assert "may not read" in str(refusal(tmp_path))


def test_a_name_that_is_too_long_and_a_broken_disk_are_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert isinstance(refusal(tmp_path, "x" * 300), Away)
    (tmp_path / "x.txt").touch()

    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

        def __enter__(self) -> "Broken":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(module, "open_file", lambda path, root: (Broken(), None))
    problem = refusal(tmp_path)
    assert problem.retriable
    assert str(problem) == "the store failed while it was read: OSError"


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"ab\xed\xa0\x80", b"x" * MIB + b"\xc3", b"\x80", b"\xf8" * 9]
)
def test_what_is_not_utf_8_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "x.txt").write_bytes(content)

    assert refusal(tmp_path, max_bytes=4 * MIB).field == "context_ref.media_type"


def test_a_character_across_two_pieces_is_whole(tmp_path: Path):
    content = "x" * (MIB - 1) + "ü" + "y" * MIB
    (tmp_path / "x.txt").write_text(content, encoding="utf-8")

    assert read(tmp_path, max_bytes=4 * MIB) == content


def test_one_zstd_frame_is_unpacked_and_its_stored_bytes_are_checked(tmp_path: Path):
    frame = zstandard.compress(b"hello " * 1000)
    (tmp_path / "x.txt").write_bytes(frame)
    digest = hashlib.sha256(frame).hexdigest()

    assert read(tmp_path, encoding="zstd", size_bytes=len(frame), sha256=digest) == "hello " * 1000


def test_a_frame_that_inflates_beyond_the_bound_is_refused_in_little_memory(tmp_path: Path):
    (tmp_path / "x.txt").write_bytes(zstandard.compress(bytes(512 * MIB)))
    tracemalloc.start()
    problem = refusal(tmp_path, encoding="zstd")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert problem.field == "context_ref.encoding"
    assert peak < 40 * MIB


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"no frame",
        zstandard.compress(b"x" * 5000)[:-3],
        zstandard.compress(b"x") + b"more",
        zstandard.compress(b"x") + zstandard.compress(b"y"),
        b"(\xb5/\xfd" + b"\xff" * 20,
    ],
    ids=["empty", "none", "cut", "trailing", "two", "damaged"],
)
def test_what_is_not_exactly_one_whole_frame_is_refused(tmp_path: Path, frame: bytes):
    (tmp_path / "x.txt").write_bytes(frame)

    assert refusal(tmp_path, encoding="zstd").field == "context_ref.encoding"


def test_fifty_megabytes_are_read_in_bounded_time_and_memory(tmp_path: Path):
    size = 50_000_000
    (tmp_path / "x.txt").write_bytes(b"All work and no play makes Jack dull.\n" * (size // 38))
    tracemalloc.start()
    begun_s = time.monotonic()
    text = read(tmp_path, max_bytes=64 * MIB)
    took_s = time.monotonic() - begun_s
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(text) == size // 38 * 38
    assert peak < 4 * size
    assert took_s < 5


@pytest.fixture
def store() -> Iterator[Any]:
    made: Any = fsspec.filesystem("memory")
    made.pipe("/bucket/in/x.txt", b"from the store")
    yield made
    made.rm("/bucket", recursive=True)


def stored(url: str, **fields: Any) -> str:
    reads = References(ReferencePolicy(("memory://bucket/in",), MIB))
    return asyncio.run(reads.read(ContextRef(url=url, **fields), "acme"))[0]


def test_an_object_of_a_store_is_read(store: Any):
    assert stored("memory://bucket/in/x.txt", size_bytes=14) == "from the store"


def test_an_object_that_is_not_there_too_large_or_a_folder_is_refused(store: Any):
    store.pipe("/bucket/in/large", bytes(MIB + 1))
    store.pipe("/bucket/in/folder/x", b"")
    for name in ("nothing", "large", "folder"):
        with pytest.raises(Unfit):
            stored(f"memory://bucket/in/{name}")


def test_a_store_that_fails_is_worth_another_try(store: Any, monkeypatch: pytest.MonkeyPatch):
    def down(*_: object, **__: object) -> None:
        raise ConnectionError("secret address")

    monkeypatch.setattr(type(store), "info", down)
    with pytest.raises(Away) as caught:
        stored("memory://bucket/in/x.txt")

    assert str(caught.value) == "the store can't be read now: ConnectionError"


def test_a_store_that_lets_nobody_in_is_no_matter_of_trying_again(
    store: Any, monkeypatch: pytest.MonkeyPatch
):
    def locked(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(type(store), "info", locked)
    with pytest.raises(Unfit, match="may not read"):
        stored("memory://bucket/in/x.txt")


def test_a_root_whose_package_is_missing_is_refused_at_once():
    with pytest.raises(ValueError, match=r"gs://bucket: .*gcsfs"):
        References(ReferencePolicy(("gs://bucket",)))


def test_what_is_held_is_bounded_and_given_back_when_it_is_dropped(tmp_path: Path):
    (tmp_path / "x.txt").write_bytes(b"x" * 600)
    reads = references(tmp_path, 1000, 1800)
    ref = ContextRef(url=f"file://{tmp_path}/x.txt", size_bytes=600)

    async def run() -> None:
        first = await reads.read(ref, "acme")
        second = await reads.read(ref, "acme")
        third = asyncio.create_task(reads.read(ref, "acme"))
        await asyncio.sleep(0.05)
        assert third.done()
        fourth = asyncio.create_task(reads.read(ref, "acme"))
        await asyncio.sleep(0.05)
        assert not fourth.done()
        del first
        gc.collect()
        assert (await asyncio.wait_for(fourth, 5))[0] == "x" * 600
        del second

    asyncio.run(run())


def test_who_stops_waiting_for_room_leaves_it_to_the_next():
    budget = Budget(100)

    async def run() -> None:
        first = await budget.take(90)
        second = asyncio.create_task(budget.take(50))
        third = asyncio.create_task(budget.take(10))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        third_hold = await asyncio.wait_for(third, 1)
        del first, third, third_hold
        whole = await asyncio.wait_for(budget.take(100), 1)
        late = asyncio.create_task(budget.take(100))
        await asyncio.sleep(0)
        del whole  # granted, and cancelled before it knows
        late.cancel()
        await asyncio.wait([late])
        await asyncio.wait_for(budget.take(100), 1)

    asyncio.run(run())


def test_reading_stops_when_nobody_waits_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pieces = threading.Event()
    closed = threading.Event()

    class Endless:
        def read(self, size: int) -> bytes:
            pieces.set()
            time.sleep(0.005)
            return b"x"

        def __enter__(self) -> "Endless":
            return self

        def __exit__(self, *_: object) -> None:
            closed.set()

    monkeypatch.setattr(module, "open_file", lambda path, root: (Endless(), None))
    reads = references(tmp_path)
    ref = ContextRef(url=f"file://{tmp_path}/x.txt")

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reads.read(ref, "acme")
        assert pieces.is_set()
        await asyncio.to_thread(closed.wait, 5)
        assert closed.is_set()
        await asyncio.sleep(0.01)
        assert not reads._slots.locked()

    asyncio.run(run())
