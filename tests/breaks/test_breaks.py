"""Each rule of delivery is taken away by one line, and real workers are seen to lose, repeat or pay twice.

The same story with nothing broken counts 0 throughout, in the same session.
"""

from pathlib import Path

import pytest

from tests.breaks.plays import Plays
from tests.breaks.table import BREAKS, STORIES, Break
from tests.breaks.trees import (
    PATCHES,
    StalePatchError,
    changed_file,
    changed_lines,
    copy_broken,
    copy_packages,
    imported_from,
    patch_file,
)

EACH = [
    pytest.param(broken, id=broken.patch, marks=[] if broken.quick else [pytest.mark.full])
    for broken in BREAKS
]


@pytest.mark.timeout(300)
@pytest.mark.broker
@pytest.mark.parametrize("broken", EACH)
def test_a_broken_rule_shows_in_its_count_and_the_whole_one_does_not(broken: Break, plays: Plays):
    whole = plays.counts(broken.story)
    seen = plays.counts(broken.story, broken.patches)

    assert {name: count for name, count in whole.items() if count} == {}, "with nothing broken"
    assert seen.get(broken.count, 0) > 0, f"{broken.patch} was not seen: {seen}"
    if broken.also:
        others = plays.counts(broken.story, broken.also)
        assert others.get(broken.count, 0) == 0, f"seen without {broken.patch}, so another guard is missing"
    for name in broken.patches:
        file = changed_file(patch_file(name).read_text())
        tree = plays.tree(broken.patches)
        assert imported_from(tree, file) == tree / file


def test_every_patch_is_in_the_table_and_every_story_is_told():
    used = {name for broken in BREAKS for name in broken.patches}

    assert used == {path.stem for path in PATCHES.glob("*.patch")}
    assert {broken.story for broken in BREAKS} == set(STORIES)
    assert len({broken.patch for broken in BREAKS}) == len(BREAKS)


@pytest.mark.parametrize("path", sorted(PATCHES.glob("*.patch")), ids=lambda path: path.stem)
def test_a_patch_changes_one_line(path: Path):
    taken, put = changed_lines(path.read_text())

    assert (len(taken), len(put)) == (1, 1)
    assert taken != put


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as they are."""
    return copy_packages(tmp_path_factory.mktemp("trees") / "whole")


@pytest.mark.parametrize("path", sorted(PATCHES.glob("*.patch")), ids=lambda path: path.stem)
def test_a_patch_applies_to_the_code_as_it_is_and_leaves_valid_python(
    path: Path, whole: Path, tmp_path: Path
):
    tree = copy_broken(whole, tmp_path / "broken", (path.stem,))

    file = changed_file(path.read_text())
    compile((tree / file).read_text(), file, "exec")
    assert (tree / file).read_text() != (whole / file).read_text()


def test_a_patch_that_no_longer_fits_says_so(whole: Path, tmp_path: Path):
    patch = "settle-on-read"
    file = changed_file(patch_file(patch).read_text())
    moved = tmp_path / "moved"
    copy_broken(whole, moved, ())
    (moved / file).write_text((moved / file).read_text().replace("self.open.update", "self.open_.update"))

    with pytest.raises(StalePatchError, match=r"settle-on-read\.patch does not apply to the code as it is"):
        copy_broken(moved, tmp_path / "broken", (patch,))
