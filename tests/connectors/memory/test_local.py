"""The memory in a folder: found, forgotten, bounded, resumed, and made again where it must be."""

import json
import time
from pathlib import Path

import pytest

from connectors.memory.local import FORGOTTEN, LocalMemory
from schemas.memories import MemoryProblem, Remembered, memory_key, parse_key, scope_of

ADA = scope_of("acme", "ada")


def remembered(id_: str, text: str, user: str = "ada", tenant: str = "acme", at_ms: int = 1) -> Remembered:
    return Remembered(tenant=tenant, user=user, id=id_, text=text, request_id=id_, at_ms=at_ms)


def add(memory: LocalMemory, *each: Remembered) -> None:
    for one in each:
        memory.add(one.text, one)
    memory.done(memory.offset + len(each))


def texts(memory: LocalMemory, query: str, scope: str = ADA, limit: int = 5) -> list[str]:
    return [text for _, text in memory.search(query, scope, limit)]


def test_what_fits_best_is_found_first_in_another_form_of_the_word(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "She likes cats"), remembered("2", "A dog, two dogs: liking them"))

    assert texts(memory, "liked cat?")[0] == "She likes cats"
    assert len(texts(memory, "liked cat?")) == 2
    assert len(texts(memory, "liked cat?", limit=1)) == 1


@pytest.mark.parametrize("query", ["", "?!", "what is the", "AND OR NOT", "a" * 5000, "nothing"])
def test_a_query_without_a_telling_word_finds_nothing(tmp_path: Path, query: str):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "what is the tea"))

    assert texts(memory, query) == []


@pytest.mark.parametrize(
    "query", ['tea"', "(tea", "scope:x tea", "-tea", "tea^", "text:[* TO *] tea", "tea\x00"]
)
def test_a_query_is_words_and_no_language(tmp_path: Path, query: str):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "green tea"), remembered("2", "tea", user="bob"))

    assert texts(memory, query) == ["green tea"]


def test_nobody_sees_what_is_anothers(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    add(
        memory,
        remembered("1", "tea one"),
        remembered("1", "tea two", tenant="other"),
        remembered("1", "tea three", user="bob"),
        remembered("1", "tea four", tenant="acme/ada", user="x"),
        remembered("1", "tea five", user="ada/x"),
        remembered("1", "tea six", user="Ada"),
    )

    assert texts(memory, "tea") == ["tea one"]
    assert texts(memory, "tea", scope_of("acme", "ada/x")) == ["tea five"]


def test_a_key_tells_whose_it_is():
    assert parse_key(memory_key("a/b", "ü%", "1")) == ("a/b", "ü%", "1")


def test_the_same_key_is_kept_once(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "old tea"), remembered("1", "new tea"))
    add(memory, remembered("1", "newest tea"))

    assert texts(memory, "tea") == ["newest tea"]


def test_what_is_forgotten_stays_so_when_a_late_record_brings_it_again(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    one = remembered("1", "tea")
    add(memory, one)
    memory.forget(one.key)
    memory.done(2)
    assert texts(memory, "tea") == []
    add(memory, one)
    assert texts(memory, "tea") == []
    memory.close()

    again = LocalMemory(tmp_path, 100)
    add(again, one)
    assert (texts(again, "tea"), again.offset) == ([], 4)


def test_what_is_kept_in_mind_of_forgotten_keys_is_bounded(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    for number in range(FORGOTTEN + 10):
        memory.forget(f"acme/ada/{number}")

    assert len(memory._forgotten) == FORGOTTEN


def test_it_goes_on_where_it_was_done(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "tea"))
    memory.add("lost tea", remembered("2", "lost tea"))
    memory.close()
    again = LocalMemory(tmp_path, 100)

    assert (again.offset, texts(again, "tea")) == (1, ["tea"])


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path):
    memory = LocalMemory(tmp_path, 20)
    add(memory, *(remembered(str(number), f"tea {number}", at_ms=number) for number in range(50)))

    found = texts(memory, "tea", limit=100)
    assert sorted(found) == sorted(f"tea {number}" for number in range(30, 50))


@pytest.mark.parametrize(
    "note",
    [
        None,
        b"",
        b"[]",
        b'{"form": 1}',
        b'{"form": 0, "offset": 5, "written_s": %d, "forgotten": []}' % time.time(),
        b'{"form": 1, "offset": 5, "written_s": %d, "forgotten": []}' % (time.time() - 13 * 3600),
        b'{"form": 1, "offset": 5, "written_s": %d, "forgotten": []}' % (time.time() + 3600),
    ],
    ids=["gone", "empty", "list", "cut", "form", "stale", "future"],
)
def test_without_a_good_and_fresh_note_it_begins_anew(tmp_path: Path, note: bytes | None):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "tea"))
    memory.close()
    path = tmp_path / "note.json"
    if note is None:
        path.unlink()
    else:
        path.write_bytes(note)
    again = LocalMemory(tmp_path, 100)

    assert (again.offset, texts(again, "tea")) == (0, [])


def test_a_damaged_index_is_made_anew(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "tea"))
    memory.close()
    (tmp_path / "index" / "meta.json").write_bytes(b"\x00damaged")
    again = LocalMemory(tmp_path, 100)

    assert again.offset == 0
    add(again, remembered("1", "tea"))
    assert texts(again, "tea") == ["tea"]


def test_a_reset_drops_all_but_what_is_forgotten(tmp_path: Path):
    memory = LocalMemory(tmp_path, 100)
    add(memory, remembered("1", "tea"))
    memory.forget("acme/ada/9")
    memory.reset()

    assert (memory.offset, texts(memory, "tea")) == (0, [])
    memory.done(0)
    assert json.loads((tmp_path / "note.json").read_bytes())["forgotten"] == ["acme/ada/9"]


def test_a_folder_that_cannot_be_written_is_a_problem_in_words(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(MemoryProblem, match="the index can't be written"):
        LocalMemory(tmp_path / "file", 100)


def test_a_search_takes_little_time_among_many(tmp_path: Path):
    memory = LocalMemory(tmp_path, 10_000)
    add(memory, *(remembered(str(n), f"tea number {n} of {n % 97}", user=f"u{n % 50}") for n in range(5000)))
    taken: list[float] = []
    for number in range(50):
        begun_s = time.perf_counter()
        found = memory.search(f"Which tea was number {number}, of {number % 97}?", scope_of("acme", "u7"), 5)
        taken.append(time.perf_counter() - begun_s)
        assert len(found) == 5

    assert sorted(taken)[25] < 0.005
