"""A memory in a folder: a tantivy index, and a note of how far the topic is in it.

The note is written after the index, so a crash between the two hands some records over again, which changes
nothing. A damaged index, one of another form, and one whose note is too old to have seen every deletion are
made again from the topic. What was forgotten stays so when a late record brings it again.
"""

import itertools
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import tantivy

from schemas.memories import MemoryProblem, Remembered, scope_of

FORM = 1
"""Of the index's fields; another form is made again."""
STALE_S = 12 * 3600.0
"""A note older than this may have missed deletions, which Kafka drops after a day."""
FORGOTTEN = 2000
"""So many keys that were forgotten are kept in mind."""
HEAP_BYTES = 15_000_000
WORDS = 64
"""Most words of a query that are looked for."""
SLACK_RATIO = 1.05
"""Over the bound by so much, the oldest entries are dropped."""
_COMMON = """
    a about all an and any are as at be by can could did do does for from had has have he her him his how i if
    in is it its me my no not of on or our out please she should so tell than that the their them then there
    they this to up us was we were what when where which who why will with would you your asked answered
"""
STOP = frozenset(_COMMON.split())
"""Words that say nothing about what is wanted; the last two stand in every memory."""
_WORD = re.compile(r"\w+")


def _schema() -> Any:
    builder: Any = tantivy.SchemaBuilder()
    builder.add_text_field("key", stored=True, tokenizer_name="raw")
    builder.add_text_field("scope", tokenizer_name="raw")
    builder.add_text_field("text", stored=True, tokenizer_name="en_stem")
    builder.add_integer_field("at_ms", stored=True, indexed=True, fast=True)
    return builder.build()


class LocalMemory:
    """A `Memory` in a folder that nobody else has open."""

    def __init__(self, folder: Path, max_entries: int) -> None:
        """Open the index, or begin a new one where there is none or a damaged one.

        Raises:
            MemoryProblem: When the folder can't be written.
        """
        self._folder, self._max = folder, max_entries
        self._note = folder / "note.json"
        self.offset, self._forgotten = self._read_note()
        try:
            self._open()
        except (OSError, ValueError):
            self._begin_anew()

    def _read_note(self) -> tuple[int, dict[str, None]]:
        """Where the index stands; 0 where it must be made again."""
        try:
            note: Any = json.loads(self._note.read_text(encoding="utf-8"))
            fresh = note["form"] == FORM and 0 <= time.time() - note["written_s"] < STALE_S
            forgotten = dict.fromkeys(str(key) for key in note["forgotten"])
            return (int(note["offset"]), forgotten) if fresh else (0, forgotten)
        except (OSError, ValueError, KeyError, TypeError):
            return 0, {}

    def _open(self) -> None:
        place = self._folder / "index"
        if not self.offset:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        self._schema = _schema()
        self._index: Any = tantivy.Index(self._schema, str(place), reuse=True)
        self._writer: Any = self._index.writer(HEAP_BYTES, 1)
        self._index.reload()
        self._searcher: Any = self._index.searcher()

    def _begin_anew(self) -> None:
        self.offset = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._note.unlink(missing_ok=True)
            self._open()
        except (OSError, ValueError) as error:
            raise MemoryProblem(f"the index can't be written: {error}") from error

    def add(self, text: str, metadata: Remembered) -> None:
        """Keep a text; again with the same key it takes the place of the first."""
        key = metadata.key
        if key in self._forgotten:
            return
        try:
            self._writer.delete_documents_by_term("key", key)
            document: Any = tantivy.Document()
            document.add_text("key", key)
            document.add_text("scope", scope_of(metadata.tenant, metadata.user))
            document.add_text("text", text)
            document.add_integer("at_ms", min(metadata.at_ms, 2**62))
            self._writer.add_document(document)
        except (OSError, ValueError) as error:
            raise MemoryProblem(f"the index can't be written: {error}") from error

    def forget(self, key: str) -> None:
        """Drop what has this key, for good."""
        self._forgotten.pop(key, None)
        self._forgotten[key] = None
        while len(self._forgotten) > FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]
        self._writer.delete_documents_by_term("key", key)

    def search(self, query: str, user: str, limit: int) -> list[tuple[str, str]]:
        """Key and text of what fits best, best first."""
        found = (word for word in _WORD.findall(query.lower()) if word not in STOP)
        words = " ".join(itertools.islice(found, WORDS))
        if not words:
            return []
        try:
            searcher = self._searcher
            wanted, _ = self._index.parse_query_lenient(words, ["text"])
            own = tantivy.Query.term_query(self._schema, "scope", user)
            both = tantivy.Query.boolean_query([(tantivy.Occur.Must, own), (tantivy.Occur.Must, wanted)])
            hits: Any = searcher.search(both, limit).hits
            documents = [searcher.doc(address) for _, address in hits]
        except (OSError, ValueError) as error:
            raise MemoryProblem(f"the index can't be read: {error}") from error
        return [(one.get_first("key"), one.get_first("text")) for one in documents]

    def done(self, offset: int) -> None:
        """Make all that lasts; drop the oldest where there are too many."""
        try:
            self._commit()
            if self._searcher.num_docs > self._max * SLACK_RATIO:
                self._drop_oldest(self._searcher.num_docs - self._max)
                self._commit()
            note = {"form": FORM, "offset": offset, "written_s": time.time()}
            written = self._note.with_suffix(".new")
            written.write_text(json.dumps(note | {"forgotten": list(self._forgotten)}), encoding="utf-8")
            os.replace(written, self._note)
        except (OSError, ValueError) as error:
            raise MemoryProblem(f"the index can't be written: {error}") from error
        self.offset = offset

    def _commit(self) -> None:
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def _drop_oldest(self, number: int) -> None:
        searcher = self._searcher
        hits: Any = searcher.search(
            tantivy.Query.all_query(), number, order_by_field="at_ms", order=tantivy.Order.Asc
        ).hits
        for _, address in hits:
            self._writer.delete_documents_by_term("key", searcher.doc(address).get_first("key"))

    def reset(self) -> None:
        """Drop everything: the topic begins anew."""
        self.close()
        self._begin_anew()

    def close(self) -> None:
        """Let go of the index; what was not `done` is read again."""
        del self._writer
