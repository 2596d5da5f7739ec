"""The page and its files, read once at the start: compressed, with tags, under names that say their content.

A file `app.js` is served as `/static/app.<hash>.js`, to be kept for ever, and HTML that refers to
`static/app.js` is rewritten to say so; HTML itself is asked for again each time, and answered with 304
where nothing changed. Names are looked up in a table, never on the disk, so no path leads out of the
folder.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard
from starlette.requests import Request
from starlette.responses import Response as HttpResponse

MAX_SITE_BYTES = 32 * 1024 * 1024
"""Most bytes of all files; they stay in memory."""
_LEAST_BYTES = 512
"""Smaller files are not compressed."""
SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Scripts and styles come from here alone; nothing is inline; nobody may frame the page."""
_KINDS: Mapping[str, str] = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/vnd.microsoft.icon",
    "woff2": "font/woff2",
}
"""Content types by ending; the machine's own table differs from one to the next."""
_TEXT = ("text/", "application/json", "image/svg+xml")
"""What is compressed: with gzip, and with zstd, which browsers take since 2024 and Weir has anyway."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    media_type: str
    """Its content type."""
    tag: str
    """Its strong entity tag without coding and quotes: a hash of its content."""
    bodies: Mapping[str, bytes]
    """Its bytes by content coding; `identity` is there always."""
    lasting: bool
    """Whether its name says its content, so that it may be kept for ever."""


class Site:
    """A folder of files. Serves `index.html` at the root and the others by name."""

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ValueError: When a file lies outside (by a link), or all of them together are too large.
        """
        self._assets = load(folder)

    async def serve(self, request: Request) -> HttpResponse:
        """One file, in the best coding that the client takes."""
        asset = self._assets.get(request.path_params.get("name", "index.html"))
        if asset is None:
            return HttpResponse("not found\n", 404, dict(SECURITY_HEADERS), "text/plain")
        coding = best_coding(request.headers.get("accept-encoding", ""), asset.bodies)
        tag = f'"{asset.tag}-{coding}"'
        headers = dict(SECURITY_HEADERS) | {
            "etag": tag,
            "vary": "accept-encoding",
            "cache-control": "public, max-age=31536000, immutable" if asset.lasting else "no-cache",
        }
        if coding != "identity":
            headers["content-encoding"] = coding
        if tag in [
            one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")
        ]:
            headers.pop("content-encoding", None)
            return HttpResponse(None, 304, headers)
        return HttpResponse(asset.bodies[coding], 200, headers, asset.media_type)


def load(folder: Path) -> dict[str, Asset]:
    """All files of a folder by the name they are served under."""
    root = folder.resolve()
    found: dict[str, bytes] = {}
    for path in sorted(root.rglob("*")):
        if not path.resolve().is_relative_to(root):
            raise ValueError(f"{path.name} lies outside of the page's folder")
        if path.is_file():
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    if sum(map(len, found.values())) > MAX_SITE_BYTES:
        raise ValueError("the page's files are too large")
    names = {name: _lasting_name(name, body) for name, body in found.items() if not name.endswith(".html")}
    assets = {names[name]: _asset(name, found[name], lasting=True) for name in names}
    for name in found.keys() - names.keys():
        assets[name] = _asset(name, _renamed(found[name], names), lasting=False)
    return assets


def best_coding(accepted: str, bodies: Mapping[str, bytes]) -> str:
    """The smallest body in a coding that `Accept-Encoding` lets through (RFC 9110, 12.5.3)."""
    weights: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, rest = part.strip().partition(";")
        weights[name.strip()] = not re.fullmatch(r"\s*q=0(\.0{0,3})?\s*", rest)
    allowed = [one for one in bodies if one == "identity" or weights.get(one, weights.get("*", False))]
    return min(allowed, key=lambda one: len(bodies[one]))


def _asset(name: str, body: bytes, *, lasting: bool) -> Asset:
    kind = _KINDS.get(name.rpartition(".")[2], "application/octet-stream")
    bodies = {"identity": body}
    if len(body) >= _LEAST_BYTES and kind.startswith(_TEXT):
        bodies["gzip"] = gzip.compress(body, 9, mtime=0)
        bodies["zstd"] = zstandard.ZstdCompressor(19).compress(body)
    return Asset(kind, _hash(body), bodies, lasting)


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _lasting_name(name: str, body: bytes) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{_hash(body)}{dot}{ending}" if dot else f"{name}.{_hash(body)}"


def _renamed(html: bytes, names: Mapping[str, str]) -> bytes:
    for name, lasting in names.items():
        html = html.replace(f'"static/{name}"'.encode(), f'"static/{lasting}"'.encode())
    return html
