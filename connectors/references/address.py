"""Which addresses may be read: those below a root, written plainly. Pure.

Rules that hold here:
- An address is compared with the roots part by part, never as a text: `/data-2` is not below `/data`.
- Nothing is decoded or resolved, so nothing can mean another place than it says: what would be decoded
  somewhere (`%41`, `..`, `?`, `#`, `::`, a port, a user) is refused.
- A root's `{tenant}` is the tenant's name, where that is a plain one.
"""

import re
from dataclasses import dataclass

from schemas.references import Forbidden

PROTOCOLS = ("file", "s3", "gs", "gcs", "az", "abfs", "memory")
"""Files and stores of objects. None that can lead on to another host."""
TENANT = "{tenant}"
_ADDRESS = re.compile(r"([a-z][a-z0-9]*)://(.*)", re.IGNORECASE | re.DOTALL)
_TENANT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._@+-]{1,200}", re.ASCII)
_DECODED = re.compile(r"%[0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Address:
    """A place: a protocol and the parts of the path; the first is the bucket where there are buckets."""

    protocol: str
    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        """As the store knows it: absolute for files, `bucket/key` elsewhere."""
        joined = "/".join(self.parts)
        return f"/{joined}" if self.protocol in ("file", "memory") else joined

    def below(self, root: "Address") -> bool:
        """Whether it lies below another one."""
        length = len(root.parts)
        return (
            self.protocol == root.protocol and len(self.parts) > length and self.parts[:length] == root.parts
        )


def root_address(root: str) -> Address:
    """Read a root of the settings.

    Raises:
        ValueError: When it can't be one; the text says why.
    """
    if root.lower().rstrip("/") == "file:":
        raise ValueError("is the whole file system; name a folder")
    try:
        address = _parsed(root if root.endswith("://") else root.removesuffix("/"))
    except Forbidden as problem:
        raise ValueError(str(problem)) from None
    if address.protocol not in PROTOCOLS:
        raise ValueError(f"{address.protocol}:// can't be a root; one of {', '.join(PROTOCOLS)} can")
    if address.protocol != "file" and (not address.parts or TENANT in address.parts[0]):
        raise ValueError("names no bucket")
    return address


def allowed(url: str, roots: tuple[Address, ...], tenant: str) -> tuple[Address, Address]:
    """The place that an address names, and the root it lies below.

    Raises:
        Forbidden: When it lies below none.
    """
    if not roots:
        raise Forbidden("contexts by reference are not set up here: set weir.references.roots")
    address = _parsed(url)
    for root in roots:
        own = _of_tenant(root, tenant)
        if own is not None and address.below(own):
            return address, own
    raise Forbidden("the address lies below none of weir.references.roots")


def _of_tenant(root: Address, tenant: str) -> Address | None:
    if not any(TENANT in part for part in root.parts):
        return root
    if not _TENANT.fullmatch(tenant):
        return None
    return Address(root.protocol, tuple(part.replace(TENANT, tenant) for part in root.parts))


def _parsed(url: str) -> Address:
    found = _ADDRESS.fullmatch(url)
    if found is None or "::" in url:
        raise Forbidden("must be one address such as `file:///data/x.txt` or `s3://bucket/x.txt`")
    protocol, rest = found[1].lower(), found[2]
    if protocol == "file":
        if not rest.startswith("/"):
            raise Forbidden("a file's address has three slashes, and no host: `file:///data/x.txt`")
        rest = rest[1:]
    if not url.isprintable() or "\\" in url or "?" in url or "#" in url or _DECODED.search(url):
        raise Forbidden("must be plain: no `?`, `#`, backslash, percent-encoding or control character")
    parts = tuple(rest.split("/")) if rest else ()
    if any(part in ("", ".", "..") for part in parts):
        raise Forbidden("must be plain: no empty part, `.` or `..` in its path")
    if protocol != "file" and parts and ("@" in parts[0] or ":" in parts[0]):
        raise Forbidden("must name a bucket only: no user, key or port before it")
    return Address(protocol, parts)
