"""Which addresses may be read: the roots, and every known way around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.references.address import Address, allowed, root_address
from schemas.references import Forbidden

ROOTS = tuple(
    map(root_address, ("file:///data/contracts", "s3://bucket/in/", "memory://m", "gs://t/{tenant}"))
)


@pytest.mark.parametrize(
    ("url", "protocol", "path"),
    [
        ("file:///data/contracts/x.txt", "file", "/data/contracts/x.txt"),
        ("FILE:///data/contracts/a b/ü.txt", "file", "/data/contracts/a b/ü.txt"),
        ("file:///data/contracts/100%.txt", "file", "/data/contracts/100%.txt"),
        ("file:///data/contracts/..x", "file", "/data/contracts/..x"),
        ("s3://bucket/in/2026/x", "s3", "bucket/in/2026/x"),
        ("memory://m/x", "memory", "/m/x"),
        ("gs://t/acme/x", "gs", "t/acme/x"),
    ],
)
def test_what_lies_below_a_root_is_allowed(url: str, protocol: str, path: str):
    address, root = allowed(url, ROOTS, "acme")

    assert (address.protocol, address.path) == (protocol, path)
    assert address.below(root)


@pytest.mark.parametrize(
    "url",
    [
        "file:///data/contracts",
        "file:///data/contracts/",
        "file:///data/contracts/../../etc/passwd",
        "file:///data/contracts/./x",
        "file:///data/contracts//x",
        "file:///data/contracts-secret/x",
        "file:///data/contracts/%2e%2e/%2e%2e/etc/passwd",
        "file:///data%2Fcontracts/x",
        "file:///data/contracts/x?y",
        "file:///data/contracts/x#y",
        "file:///data/contracts\\..\\..\\etc\\passwd",
        "file:///data/contracts/x\x00.txt",
        "file:///data/contracts/x\n",
        "file:///data/contracts/\u202etxt",
        "file://localhost/data/contracts/x",
        "file://other/data/contracts/x",
        "file:/data/contracts/x",
        "file://../data/contracts/x",
        "/data/contracts/x",
        "data/contracts/x",
        "x",
        "local:///data/contracts/x",
        "file:///etc/passwd",
        "file:///DATA/contracts/x",
        "zip://x::file:///data/contracts/x.zip",
        "simplecache::file:///data/contracts/x",
        "file:///data/contracts/x::memory://m/x",
        "http://127.0.0.1/data/contracts/x",
        "https://bucket/in/x",
        "ftp://bucket/in/x",
        "s3a://bucket/in/x",
        "s3://bucket/x",
        "s3://bucket2/in/x",
        "s3://bucket/inside/x",
        "s3://key:secret@bucket/in/x",
        "s3://bucket:443/in/x",
        "s3://bucket/in/x?versionId=3",
        "s3:///bucket/in/x",
        "s3://bucket/in/../out/x",
        "memory:///m/x",
        "gs://t/other/x",
        "gs://t/{tenant}/x",
        "gs://t/x",
    ],
)
def test_every_way_around_the_roots_is_refused(url: str):
    with pytest.raises(Forbidden):
        allowed(url, ROOTS, "acme")


@pytest.mark.parametrize("tenant", ["..", ".", "a/b", "", "a\nb", "*", "a b", "%2e"])
def test_a_tenant_whose_name_is_no_plain_part_has_no_root_of_its_own(tenant: str):
    with pytest.raises(Forbidden):
        allowed(f"gs://t/{tenant}/x", ROOTS, tenant)


def test_without_roots_the_message_says_what_to_set():
    with pytest.raises(Forbidden, match=r"set weir\.references\.roots"):
        allowed("file:///x", (), "acme")


@pytest.mark.parametrize(
    "root",
    [
        "http://host/x",
        "https://host",
        "file:///",
        "file:",
        "file://x",
        "s3://",
        "s3://{tenant}/x",
        "x",
        "a::b",
    ],
)
def test_a_root_that_leads_anywhere_is_refused(root: str):
    with pytest.raises(ValueError, match=r"."):
        root_address(root)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "contracts", "data", "%2e", "..;", "x"]), max_size=6))
def test_whatever_is_allowed_normalises_to_a_place_below_the_root(parts: list[str]):
    url = "file:///" + "/".join(parts)
    try:
        address, _ = allowed(url, ROOTS, "acme")
    except Forbidden:
        return

    assert address == Address("file", tuple(parts))
    assert ".." not in parts
    assert address.path.startswith("/data/contracts/")
