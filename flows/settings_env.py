"""What the environment sets, and the models of an installation without a file."""

from collections.abc import Mapping
from typing import NamedTuple

from flows.settings_keys import SettingsError
from flows.settings_providers import key_of
from flows.settings_values import Parser, Parsers, choice, duration, millis, positive, size, text, texts
from flows.settings_values import some_duration as length
from flows.settings_values import topic_prefix as prefix
from schemas.calls import Route

SECURITY = choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISM = choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
LEDGER = choice("strict", "trailing")
UNKNOWN = choice("retry", "fail")


class Hosted(NamedTuple):
    """A provider whose key alone is enough for a model."""

    provider: str
    """Its name."""
    variable: str
    """What names its model."""
    model: str
    """The model where nothing names one: its cheapest that answers well."""
    base_variable: str
    """What names another address."""

    def model_in(self, env: Mapping[str, str]) -> str:
        """The model that the environment means."""
        return env.get(self.variable, "").strip() or self.model


HOSTED = (
    Hosted("anthropic", "WEIR_ANTHROPIC_MODEL", "claude-haiku-5-5", "ANTHROPIC_BASE_URL"),
    Hosted("gemini", "WEIR_GEMINI_MODEL", "gemini-flash-lite-latest", "GOOGLE_GEMINI_BASE_URL"),
    Hosted("openai", "WEIR_OPENAI_MODEL", "gpt-5-mini", "OPENAI_BASE_URL"),
)
"""In the order in which `auto` tries them."""

KAFKA: Parsers = {
    "bootstrap": texts, "security": SECURITY, "sasl_mechanism": MECHANISM, "username": text, "password": text,
    "ca_file": text, "cert_file": text, "key_file": text, "prefix": prefix, "partitions": positive,
    "replication": positive, "group": text,
}  # fmt: skip
"""Keys of `weir: kafka:`, the fields of `Cluster`."""
DELIVERY: Parsers = {
    "session": length, "heartbeat": length, "drain": duration, "commit_every": length, "instance_id": text,
    "credits": positive, "buffer_bytes": size, "outbox_bytes": size, "held_bytes": size,
    "conversation_bytes": size, "window": length, "window_entries": positive, "feed_pause": duration,
    "linger": duration, "gather": duration, "ledger": LEDGER, "unknown_outcome": UNKNOWN,
    "reply_prefixes": texts,
}  # fmt: skip
"""Keys of `weir: delivery:`, the fields of `Delivery`."""
CONVERSATIONS: Parsers = {
    "folder": text, "store_bytes": size, "max_age": length, "turn_bytes": size, "history_bytes": size,
    "history_turns": positive,
}  # fmt: skip
"""Keys of `weir: conversations:`, the fields of `Conversations`."""


class Variable(NamedTuple):
    """An environment variable that sets one value."""

    section: str
    """`kafka`, `delivery`, `counting` or `conversations`."""
    field: str
    """Field that it sets."""
    parser: Parser
    """How it is written."""


VARIABLES: Mapping[str, Variable] = {
    "KAFKA_BOOTSTRAP_SERVERS": Variable("kafka", "bootstrap", texts),
    "KAFKA_SECURITY_PROTOCOL": Variable("kafka", "security", SECURITY),
    "KAFKA_SASL_MECHANISM": Variable("kafka", "sasl_mechanism", MECHANISM),
    "KAFKA_SASL_USERNAME": Variable("kafka", "username", text),
    "KAFKA_SASL_PASSWORD": Variable("kafka", "password", text),
    "KAFKA_SSL_CAFILE": Variable("kafka", "ca_file", text),
    "KAFKA_SSL_CERTFILE": Variable("kafka", "cert_file", text),
    "KAFKA_SSL_KEYFILE": Variable("kafka", "key_file", text),
    "WEIR_TOPIC_PREFIX": Variable("kafka", "prefix", prefix),
    "WEIR_PARTITIONS": Variable("kafka", "partitions", positive),
    "WEIR_REPLICATION": Variable("kafka", "replication", positive),
    "WEIR_GROUP": Variable("kafka", "group", text),
    "WEIR_SESSION_MS": Variable("delivery", "session", millis),
    "WEIR_HEARTBEAT_MS": Variable("delivery", "heartbeat", millis),
    "WEIR_DRAIN_MS": Variable("delivery", "drain", millis),
    "WEIR_COMMIT_EVERY_MS": Variable("delivery", "commit_every", millis),
    "WEIR_INSTANCE_ID": Variable("delivery", "instance_id", text),
    "WEIR_CREDITS": Variable("delivery", "credits", positive),
    "WEIR_BUFFER_BYTES": Variable("delivery", "buffer_bytes", size),
    "WEIR_OUTBOX_BYTES": Variable("delivery", "outbox_bytes", size),
    "WEIR_HELD_BYTES": Variable("delivery", "held_bytes", size),
    "WEIR_CONVERSATION_BYTES": Variable("delivery", "conversation_bytes", size),
    "WEIR_WINDOW_MS": Variable("delivery", "window", millis),
    "WEIR_WINDOW_ENTRIES": Variable("delivery", "window_entries", positive),
    "WEIR_FEED_PAUSE_MS": Variable("delivery", "feed_pause", millis),
    "WEIR_LINGER_MS": Variable("delivery", "linger", millis),
    "WEIR_GATHER_MS": Variable("delivery", "gather", millis),
    "WEIR_LEDGER": Variable("delivery", "ledger", LEDGER),
    "WEIR_UNKNOWN_OUTCOME": Variable("delivery", "unknown_outcome", UNKNOWN),
    "WEIR_REPLY_PREFIXES": Variable("delivery", "reply_prefixes", texts),
    "WEIR_CONVERSATIONS_FOLDER": Variable("conversations", "folder", text),
    "WEIR_TOKENIZER": Variable("counting", "tokenizer", text),
}
"""Each sets what its name says and beats the file; an empty one counts as absent."""

EXTRACTIVE = Route(
    name="extractive:extractive", model_name="extractive", provider="extractive", model="extractive"
)
"""The embedded model, always there by name."""


def from_env(section: str, env: Mapping[str, str]) -> dict[str, object]:
    """Fields of a section that the environment sets.

    Raises:
        SettingsError: When a variable can't be read; its value is not shown.
    """
    changes: dict[str, object] = {}
    for name, variable in VARIABLES.items():
        value = env.get(name, "").strip()
        if variable.section == section and value:
            try:
                changes[variable.field] = variable.parser(value)
            except ValueError as error:
                raise SettingsError(f"{name}: must be {error}") from None
    return changes


def routes_of(env: Mapping[str, str]) -> tuple[list[Route], list[str]]:
    """Routes that the environment names, Ollama first, and warnings. The embedded model is not among them."""
    routes: list[Route] = []
    warnings: list[str] = []
    host, model = env.get("OLLAMA_HOST", "").strip(), env.get("OLLAMA_MODEL", "").strip()
    if model:
        routes.append(_route("ollama", model, ollama_url(host)))
    elif host:
        warnings.append("OLLAMA_HOST: set without OLLAMA_MODEL, so Ollama is not used")
    for hosted in HOSTED:
        if key := key_of(hosted.provider, env):
            model = hosted.model_in(env)
            base = env.get(hosted.base_variable, "").strip().rstrip("/") or None
            routes.append(_route(hosted.provider, model, base, key))
            warnings.append(
                f"{hosted.provider}: `{model}` has no price without a model_list; its cost shows as 0"
            )
    return routes, warnings


def _route(provider: str, model: str, api_base: str | None, api_key: str | None = None) -> Route:
    return Route(
        name=f"{provider}:{model}",
        model_name=model,
        provider=provider,
        model=model,
        api_base=api_base,
        api_key=api_key,
    )


def ollama_url(host: str) -> str:
    """The address that Ollama's own `OLLAMA_HOST` means: scheme and port may be left out."""
    scheme, sign, rest = host.partition("://")
    if not sign:
        scheme, rest = "http", host
    name, colon, port = rest.rstrip("/").rpartition(":")
    if not colon or not port.isdigit():
        name, port = rest.rstrip("/"), {"https": "443"}.get(scheme, "11434" if not sign else "80")
    if name in ("", "0.0.0.0", "[::]"):
        name = "127.0.0.1"
    return f"{scheme}://{name}:{port}"
