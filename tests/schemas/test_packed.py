"""Packed entries: what is written is read back, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.packed import (
    MOVED,
    NO_OFFSET,
    REMEMBERED,
    REPEAT,
    VERSION,
    PackedError,
    Seal,
    Settled,
    Started,
    hash_body,
    hash_request,
    pack_seal,
    pack_settled,
    pack_started,
    unpack_seal,
    unpack_settled,
    unpack_started,
)

U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
STARTED = st.lists(st.builds(Started, U8, U16, U32, U64, U64, U64), max_size=5)
SETTLED = st.lists(st.builds(Settled, U8, U8, U64, U64, U64, U64), max_size=5)
SEAL = st.builds(Seal, U64, U64, st.booleans())


@given(STARTED)
def test_started_entries_come_back_as_they_were(entries: list[Started]):
    assert unpack_started(pack_started(entries)) == entries


@given(SETTLED)
def test_settled_entries_come_back_as_they_were(entries: list[Settled]):
    assert unpack_settled(pack_settled(entries)) == entries


@given(SEAL)
def test_a_seal_comes_back_as_it_was(seal: Seal):
    assert unpack_seal(pack_seal(seal)) == seal


@given(STARTED, SETTLED, SEAL)
def test_sizes_are_the_documented_ones(started: list[Started], settled: list[Settled], seal: Seal):
    assert len(pack_started(started)) == 1 + 31 * len(started)
    assert len(pack_settled(settled)) == 1 + 34 * len(settled)
    assert len(pack_seal(seal)) == 1 + 17


@given(STARTED, st.integers(1, 30))
def test_a_cut_started_record_is_refused(entries: list[Started], cut: int):
    value = pack_started(entries)

    with pytest.raises(PackedError, match=r"of \d+ bytes is not of version 1"):
        unpack_started(value[:-cut] if len(value) > cut else b"")


@given(SETTLED, st.integers(1, 33), st.booleans())
def test_a_cut_or_longer_settled_record_is_refused(entries: list[Settled], by: int, longer: bool):
    value = pack_settled(entries)
    broken = value + b"\0" * by if longer else value[:-by] if len(value) > by else b""

    with pytest.raises(PackedError):
        unpack_settled(broken)


@given(SEAL, st.integers(0, 17))
def test_a_cut_or_longer_seal_is_refused(seal: Seal, length: int):
    with pytest.raises(PackedError):
        unpack_seal(pack_seal(seal)[:length])
    with pytest.raises(PackedError):
        unpack_seal(pack_seal(seal) + b"\0")


@given(st.integers(0, 255).filter(lambda version: version != VERSION))
def test_another_version_is_refused_everywhere(version: int):
    head = bytes([version])

    for unpack, value in [
        (unpack_started, pack_started([Started(0, 1, 2, 3, 4, 5)])),
        (unpack_settled, pack_settled([Settled(0, 1, 2, 3, 4, 5)])),
        (unpack_seal, pack_seal(Seal(1, 2, False))),
    ]:
        with pytest.raises(PackedError):
            unpack(head + value[1:])


def test_a_record_without_entries_is_one_byte_and_reads_as_none():
    assert pack_started([]) == pack_settled([]) == bytes([VERSION])
    assert unpack_started(bytes([VERSION])) == []


@given(st.text(), st.text(), st.text(), st.text())
def test_tenant_and_id_do_not_run_into_each_other(tenant: str, name: str, other_tenant: str, other: str):
    same = (f"{tenant}\0{name}") == (f"{other_tenant}\0{other}")

    assert (hash_request(tenant, name) == hash_request(other_tenant, other)) == same


def test_hashes_are_stable_across_processes_and_take_lone_surrogates():
    assert hash_request("default", "r-1") == 0x743D4FD75AD53899
    assert hash_body(b"") == 0xE4A6A0577479B2B4
    assert 0 <= hash_request("\ud800", "\udfff") < 1 << 64


def test_flags_are_single_bits_and_no_offset_is_none_that_a_log_can_have():
    assert [REMEMBERED, MOVED, REPEAT] == [1, 2, 4]
    assert NO_OFFSET == (1 << 64) - 1
