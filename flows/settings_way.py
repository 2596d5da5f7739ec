"""How a route's bytes travel: key file, client, proxy, TLS. LiteLLM's names where it has one.

api_key: file:/run/secrets/claude    read again when the file changes
client: sdk                          the provider's official SDK moves the bytes
proxy: http://proxy:3128             or `environment`: as HTTPS_PROXY and NO_PROXY say
ssl_verify: false | /path/ca.pem     LiteLLM's: whether the certificate is checked, or by which authorities
ca_file, client_cert_file            PEM files
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from flows.settings_keys import SettingsError
from flows.settings_values import choice, flag, parsed, text

FILE = "file:"
"""Begins an `api_key` that names the file it stands in."""
ENVIRONMENT = "environment"
"""A `proxy` that leaves the choice to the environment."""
SDKS = ("anthropic", "gemini", "ollama")
"""Providers with an official SDK that can be the client."""


@dataclass(frozen=True, slots=True)
class Travel:
    """The fields of a route that say how its bytes travel."""

    api_key_file: str | None
    client: Literal["http", "sdk"]
    proxy: str | None
    ca_file: str | None
    client_cert_file: str | None
    verify_tls: bool


def travel(place: str, provider: str, found: Callable[[str], object]) -> Travel:
    """Read it from an entry; `found` gives the value of a key, or `None`.

    Raises:
        SettingsError: When a value is wrong, or the provider has no SDK.
    """

    def one(key: str) -> str | None:
        value = found(key)
        return None if value is None else parsed(f"{place}.{key}", value, text)

    client = parsed(f"{place}.client", found("client") or "http", choice("http", "sdk"))
    if client == "sdk" and provider not in SDKS:
        raise SettingsError(f"{place}.client: `sdk` is there for {', '.join(SDKS)}; not for `{provider}`")
    verify, ca_file = _verify(place, found("ssl_verify"))
    return Travel(
        api_key_file=key_file(place, found("api_key")),
        client="sdk" if client == "sdk" else "http",
        proxy=_proxy(place, one("proxy")),
        ca_file=one("ca_file") or ca_file,
        client_cert_file=one("client_cert_file"),
        verify_tls=verify,
    )


def key_file(place: str, value: object) -> str | None:
    """The file that an `api_key` names; `None` where it is the key itself.

    Raises:
        SettingsError: When the file has no name.
    """
    if not (isinstance(value, str) and value.startswith(FILE)):
        return None
    path = value.removeprefix(FILE).strip()
    if not path:
        raise SettingsError(f"{place}.api_key: `file:` is followed by the path of a file")
    return path


def _proxy(place: str, value: str | None) -> str | None:
    if value is None or value == ENVIRONMENT or value.startswith(("http://", "https://")):
        return value
    raise SettingsError(f"{place}.proxy: must begin with http:// or https://, or be `{ENVIRONMENT}`")


def _verify(place: str, value: object) -> tuple[bool, str | None]:
    """Whether certificates are checked, and by which file: LiteLLM takes both in one key."""
    if value is None:
        return True, None
    if isinstance(value, str) and value.strip().lower() not in ("true", "false"):
        return True, parsed(f"{place}.ssl_verify", value, text)
    return parsed(f"{place}.ssl_verify", value, flag), None
