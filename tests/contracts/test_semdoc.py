"""The docstring under a field is found where it stands, and missed where it doesn't."""

from contracts.semdoc import members, of_schemas, one_line

SOURCE = '''
class Base:
    """A class."""

    first = "a"
    """The first
    of them."""
    bare: int
    text: str = ""
    """Some text."""
    model_config = {}
    _hidden: int = 0
    a, b = 1, 2

    def method(self) -> None:
        inner: int = 1


class Child(Base):
    first = "b"
    bare = 2
    last: float | None = None


class _Private:
    field: int
'''


def test_members_are_found_with_their_docs():
    found = {each.path: each.doc for each in members("m", SOURCE)}

    assert found == {
        "m.Base.first": "The first of them.",
        "m.Base.bare": None,
        "m.Base.text": "Some text.",
        "m.Child.bare": None,
        "m.Child.last": None,
    }


def test_numbers_are_known_by_their_annotation():
    assert [each.name for each in members("m", SOURCE) if each.numeric] == ["bare", "last"]


def test_all_of_schemas_is_read():
    paths = {each.path for each in of_schemas()}

    assert {
        "schemas.requests.Request.prompt",
        "schemas.calls.Route.name",
        "schemas.codes.Code.REFUSED",
    } <= paths


def test_a_docstring_becomes_one_line():
    assert one_line("  a\n    b ") == "a b"
    assert one_line(None) == ""
