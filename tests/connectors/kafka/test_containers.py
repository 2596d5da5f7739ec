"""Parts of messages that are made in one go are those that kafka-python makes."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer import fetcher
from kafka.protocol.consumer import FetchRequest, FetchResponse, JoinGroupRequest, OffsetCommitRequest
from kafka.protocol.data_container import DataContainer
from kafka.protocol.metadata import MetadataRequest
from kafka.protocol.producer import ProduceRequest

from connectors.kafka import containers

theirs: Any = containers._init  # pyright: ignore[reportPrivateUsage]
KINDS: list[Any] = [
    FetchRequest, FetchResponse, JoinGroupRequest, OffsetCommitRequest, MetadataRequest, ProduceRequest,
    cast(Any, fetcher)._FetchTopic, cast(Any, fetcher)._FetchPartition, cast(Any, fetcher)._ForgottenTopic,
]  # fmt: skip


def made(kind: Any, init: Any, *args: Any, **given: Any) -> Any:
    """All that can be seen of a part, or what was raised."""
    part = kind.__new__(kind)
    try:
        init(part, *args, **given)
    except (ValueError, RuntimeError) as error:
        return str(error)
    names = [field.name for field in kind._struct._fields]
    set_ = {name for name in names if name in dir(kind) and _is_set(kind, part, name)}
    return part._version, part.tags, part.unknown_tags, set_, [getattr(part, name) for name in names]


def _is_set(kind: Any, part: Any, name: str) -> bool:
    try:
        getattr(kind, name).__get__(part)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_they_are_the_same(kind: Any, data: st.DataObject):
    versions = st.none() | st.integers(-1, kind._struct.max_version + 2)
    names = [field.name for field in kind._struct._fields] + ["_odd", "unheard_of"]
    given_ = {name: object() for name in data.draw(st.sets(st.sampled_from(names)))}
    args = tuple(object() for _ in range(data.draw(st.sampled_from([0, 0, 0, 1]))))
    version = data.draw(versions)

    assert made(kind, containers.fill, *args, version=version, **given_) == made(
        kind, theirs, *args, version=version, **given_
    )


def test_they_are_used_once_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(DataContainer, "__init__", theirs)

    containers.use_quick_containers()

    assert cast(Any, DataContainer).__init__ is containers.fill
    request = FetchRequest(version=12, min_bytes=3)
    assert request.encode() == made_by(FetchRequest, theirs, version=12, min_bytes=3).encode()


def made_by(kind: Any, init: Any, **given: Any) -> Any:
    """A part by the old way."""
    part = kind.__new__(kind)
    part._header = part._min_version = part._max_version = None
    init(part, **given)
    return part
