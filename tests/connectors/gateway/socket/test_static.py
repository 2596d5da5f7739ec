"""The page's files: names that say their content, tags, codings, and nothing from outside of the folder."""

import gzip
import http.client
import re
from collections.abc import Generator
from pathlib import Path

import pytest
import zstandard

from connectors.gateway.socket import static
from connectors.gateway.socket.routes import PAGE
from connectors.gateway.socket.static import best_coding, load
from tests.support.sockets import Fakes, serving


@pytest.fixture(scope="module")
def port() -> Generator[int]:
    with serving(Fakes().app()) as number:
        yield number


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def script(port: int) -> str:
    """The address of the page's script, as the page has it."""
    found = re.search(rb'src="(static/app\.[0-9a-f]{16}\.js)"', get(port, "/")[1])
    assert found is not None
    return "/" + found[1].decode()


def test_the_page_names_its_files_by_content_and_they_may_be_kept_for_ever(port: int):
    page, _ = get(port, "/")
    answer, body = get(port, script(port))

    assert page.headers["cache-control"] == "no-cache"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert body == (PAGE / "app.js").read_bytes()


def test_the_smallest_coding_that_the_client_takes_is_sent(port: int):
    path, plain = script(port), (PAGE / "app.js").read_bytes()
    zipped, gzip_body = get(port, path, accept_encoding="gzip, br")
    packed, zstd_body = get(port, path, accept_encoding="gzip, deflate, br, zstd")
    bare, _ = get(port, path, accept_encoding="gzip;q=0, identity")

    assert (zipped.headers["content-encoding"], gzip.decompress(gzip_body)) == ("gzip", plain)
    assert packed.headers["content-encoding"] in ("gzip", "zstd")
    assert len(zstd_body) <= len(gzip_body) < len(plain) / 2
    assert bare.headers["content-encoding"] is None
    assert {one.headers["vary"] for one in (zipped, packed, bare)} == {"accept-encoding"}
    assert (
        zstandard.ZstdDecompressor().decompress(load(PAGE)[path.removeprefix("/static/")].bodies["zstd"])
        == plain
    )


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("ZSTD;q=0.5", "zstd"),
        ("br", "identity"),
    ],
)
def test_codings_are_chosen_by_what_is_accepted(accepted: str, coding: str):
    assert best_coding(accepted, {"identity": b"xxx", "gzip": b"xx", "zstd": b"x"}) == coding


def test_what_did_not_change_is_not_sent_again(port: int):
    for path in ("/", script(port)):
        first, _ = get(port, path, accept_encoding="gzip")
        again, body = get(
            port, path, accept_encoding="gzip", if_none_match=f'"other", W/{first.headers["etag"]}'
        )
        other, _ = get(port, path, accept_encoding="identity", if_none_match=first.headers["etag"])

        assert (again.status, body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert other.status == 200


def test_nothing_but_the_page_itself_may_run_or_be_asked(port: int):
    for path in ("/", script(port), "/static/none"):
        answer, _ = get(port, path)
        policy = answer.headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = get(port, "/")[1].decode()
    assert "style=" not in page
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|https?://", page)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../ports.py",
        "/static/..%2fports.py",
        "/static/%2e%2e/ports.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/app.js",
        "/static/",
        "/static/app.js%00.css",
        "/static/....//ports.py",
    ],
)
def test_a_path_that_is_not_in_the_table_is_not_found(port: int, path: str):
    answer, body = get(port, path)

    assert (answer.status, body) == (404, b"not found\n")


def test_only_reading_is_allowed(port: int):
    head, body = get(port, "/", "HEAD")

    assert (head.status, body) == (200, b"")
    assert get(port, "/", "POST")[0].status == 405


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "site").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site" / "link.txt").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(ValueError, match="lies outside"):
        load(tmp_path / "site")


def test_a_site_without_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.bin").write_bytes(b"x" * 2000)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "a.js").write_bytes(b"z")
    (tmp_path / "LICENSE").write_bytes(b"y" * 600)
    assets = load(tmp_path)
    kinds = {asset.media_type for asset in assets.values()}
    assert kinds == {"application/octet-stream", "text/javascript"}
    assert all(set(asset.bodies) == {"identity"} for asset in assets.values())

    monkeypatch.setattr(static, "MAX_SITE_BYTES", 2000)
    with pytest.raises(ValueError, match="too large"):
        load(tmp_path)
