"""The settings of an installation: one frozen tree, built once from a YAML file and the environment.

The file is LiteLLM's (`model_list`, `router_settings`, ...) with our own settings under `weir:`. The
environment beats the file. Without a `model_list` the models are those that the environment names, and
the embedded one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType

from flows.settings_compression import COMPRESSION, Compression
from flows.settings_env import DELIVERY, EXTRACTIVE, KAFKA, from_env, routes_of
from flows.settings_files import read
from flows.settings_keys import GENERAL, LITELLM, ROUTER, TOP, WEIR, SettingsError, check_keys, nearest
from flows.settings_models import PROVIDERS, Defaults, Models, timeouts_of
from flows.settings_recall import Outside, outside
from flows.settings_values import (
    Frozen,
    Parser,
    Parsers,
    changed,
    count,
    duration,
    filled,
    flag,
    growth,
    items,
    mapping,
    parsed,
    positive,
    resolved,
    size,
    some_duration,
    text,
    texts,
)
from flows.stages.admit import AdmitPolicy
from flows.stages.catalogue import ANY, AUTO, Catalogue
from flows.stages.health import HealthPolicy
from flows.stages.limits import Limits
from flows.stages.retry import RetryPolicy
from schemas.calls import Route, Timeouts
from schemas.cluster import Cluster, Delivery
from schemas.topics import GATEWAY_REPLIES

RETRY: Parsers = {
    "retries_per_route": count, "max_attempts": positive, "base": duration, "factor": growth, "cap": duration,
    "min_wait": duration, "max_wait": duration,
}  # fmt: skip
HEALTH: Parsers = {"allowed_fails": positive, "cooldown": duration}
LIMITS: Parsers = {
    "max_request_bytes": size, "max_answer_bytes": size, "max_context_bytes": size,
    "default_timeout": some_duration, "max_timeout": some_duration,
}  # fmt: skip
COUNTING: Parsers = {"tokenizer": text}
_RETRY_NAMES = {"num_retries": ("retries_per_route", count), "retry_after": ("min_wait", duration)}
_HEALTH_NAMES = {"allowed_fails": ("allowed_fails", positive), "cooldown_time": ("cooldown", duration)}


@dataclass(frozen=True, slots=True)
class Counting:
    """How tokens are counted."""

    tokenizer: str = "o200k"
    """`o200k`, `cl100k`, the path of a `tokenizer.json`, or `hub:OWNER/MODEL`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Secrets don't show in its text."""

    cluster: Cluster = field(default_factory=Cluster)
    """Kafka, and this installation's place on it."""
    delivery: Delivery = field(default_factory=Delivery)
    """Bounds and choices of the rules of delivery."""
    routes: tuple[Route, ...] = (EXTRACTIVE,)
    """All routes, in configured order."""
    by_name_only: frozenset[str] = frozenset()
    """Names of routes that `auto` leaves out."""
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Other names of models."""
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Models to try when the one of that name fails; `*` for those that have none of their own."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """How often a call is tried again."""
    health: HealthPolicy = field(default_factory=HealthPolicy)
    """When a route is left alone."""
    limits: Limits = field(default_factory=Limits)
    """Sizes and times of requests and answers."""
    counting: Counting = field(default_factory=Counting)
    """How tokens are counted."""
    compression: Compression = field(default_factory=Compression)
    """How what is too long is compressed."""
    outside: Outside = field(default_factory=Outside)
    """What requests may ask for that lies outside them."""
    plugins: tuple[str, ...] = ()
    """Python modules that bring providers of their own; the application imports them."""
    source: str | None = None
    """The file all this came from."""
    warnings: tuple[str, ...] = ()
    """What has no effect, a line each."""

    def catalogue(self) -> Catalogue:
        """The routes with the names they go by."""
        return Catalogue(self.routes, self.aliases, self.fallbacks, self.by_name_only)

    def admit_policy(self) -> AdmitPolicy:
        """What the admit stage lets pass."""
        return AdmitPolicy(self.delivery.reply_prefixes, self.limits)


def load(path: str | None, env: Mapping[str, str]) -> Settings:
    """Read the settings from the file (else the one `WEIR_CONFIG` names, else none) and the environment.

    Raises:
        SettingsError: When something is wrong; one line that names the file and the key.
    """
    source = path or env.get("WEIR_CONFIG", "").strip() or None
    try:
        return _checked(_settings(read(source) if source else {}, source, env))
    except SettingsError as error:
        known = source is None or str(error).startswith(source)
        raise SettingsError(str(error) if known else f"{source}: {error}") from error.__cause__


def _settings(file: Mapping[str, object], source: str | None, env: Mapping[str, str]) -> Settings:
    warnings = check_keys("", file, TOP)
    named = mapping("environment_variables", file.get("environment_variables"))
    lookup = {**{name: str(value) for name, value in named.items()}, **env}
    sections = {
        name: mapping(name, file.get(name))
        for name in ("router_settings", "litellm_settings", "general_settings", "weir")
    }
    known = (ROUTER, LITELLM, GENERAL, WEIR)
    for (name, values), section in zip(sections.items(), known, strict=True):
        warnings += check_keys(name, values, section)
    weir = {name: _section(name, sections["weir"], lookup) for name in WEIR.ours - {"plugins"}}
    plugins = _plugins(sections["weir"], env)
    common = {
        **{key: value for key, value in sections["litellm_settings"].items() if key in LITELLM.ours},
        **{key: value for key, value in sections["router_settings"].items() if key in ROUTER.ours},
    }
    models, routes, by_name_only = _routes(file, lookup, _defaults(common, bool(plugins)))
    cluster = filled("weir.kafka", weir["kafka"], Cluster(), KAFKA)
    delivery = filled("weir.delivery", weir["delivery"], Delivery(), DELIVERY)
    counting = filled("weir.counting", weir["counting"], Counting(), COUNTING)
    cluster = changed(cluster, from_env("kafka", env))
    return Settings(
        cluster=cluster,
        delivery=_answering_gateways(changed(delivery, from_env("delivery", env)), cluster),
        routes=routes,
        by_name_only=by_name_only,
        aliases=MappingProxyType(_aliases(common)),
        fallbacks=MappingProxyType(_fallbacks(common)),
        retry=filled("weir.retry", weir["retry"], _taken(common, RetryPolicy(), _RETRY_NAMES), RETRY),
        health=filled("weir.health", weir["health"], _taken(common, HealthPolicy(), _HEALTH_NAMES), HEALTH),
        limits=filled("weir.limits", weir["limits"], Limits(), LIMITS),
        counting=changed(counting, from_env("counting", env)),
        compression=filled("weir.compression", weir["compression"], Compression(), COMPRESSION),
        outside=outside(weir, env),
        plugins=plugins,
        source=source,
        warnings=(*warnings, *models),
    )


def _answering_gateways(delivery: Delivery, cluster: Cluster) -> Delivery:
    """Answers may always go to the gateways' own reply topic, whatever the prefixes."""
    topic = cluster.topic(GATEWAY_REPLIES.name)
    if topic.startswith(delivery.reply_prefixes):
        return delivery
    return replace(delivery, reply_prefixes=(*delivery.reply_prefixes, topic))


def _section(name: str, weir: Mapping[str, object], env: Mapping[str, str]) -> dict[str, object]:
    """A section under `weir:`, references to the environment resolved."""
    values = mapping(f"weir.{name}", weir.get(name))
    return {key: resolved(value, env) for key, value in values.items()}


def _plugins(weir: Mapping[str, object], env: Mapping[str, str]) -> tuple[str, ...]:
    named = weir.get("plugins")
    listed = parsed("weir.plugins", named, texts) if named else ()
    more = env.get("WEIR_PLUGINS", "").strip()
    added = parsed("WEIR_PLUGINS", more, texts) if more else ()
    return tuple(dict.fromkeys([*listed, *added]))


def _defaults(common: Mapping[str, object], plugins: bool) -> Defaults:
    whole = common.get("timeout", common.get("request_timeout"))
    between = common.get("stream_timeout")
    timeouts = timeouts_of(
        Timeouts(),
        None if whole is None else parsed("router_settings.timeout", whole, some_duration),
        None if between is None else parsed("router_settings.stream_timeout", between, some_duration),
    )
    drop = parsed("litellm_settings.drop_params", common.get("drop_params", False), flag)
    return Defaults(timeouts, drop, PROVIDERS, plugins)


def _routes(
    file: Mapping[str, object], env: Mapping[str, str], defaults: Defaults
) -> tuple[list[str], tuple[Route, ...], frozenset[str]]:
    """Warnings, all routes, and the names of those that `auto` leaves out.

    The embedded model can always be named. `auto` comes to it only where the file lists it, or lists
    no model at all: who configured models did not ask for quotations.
    """
    entries = items("model_list", file.get("model_list"))
    if not entries:
        found, warnings = routes_of(env)
        return warnings, (*found, EXTRACTIVE), frozenset()
    models = Models(env, defaults)
    for index, entry in enumerate(entries):
        models.add(f"model_list[{index}]", entry)
    routes = models.ordered()
    if any(route.provider == EXTRACTIVE.provider for route in routes):
        return models.warnings, routes, frozenset()
    return models.warnings, (*routes, EXTRACTIVE), frozenset({EXTRACTIVE.name})


def _aliases(common: Mapping[str, object]) -> dict[str, str]:
    place = "router_settings.model_group_alias"
    aliases: dict[str, str] = {}
    for name, value in mapping(place, common.get("model_group_alias")).items():
        target = value.get("model") if isinstance(value, dict) else value
        aliases[name] = parsed(f"{place}.{name}", target, text)
    return aliases


def _fallbacks(common: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """LiteLLM's list of single mappings, and its list for all other models."""
    place = "router_settings.fallbacks"
    fallbacks: dict[str, tuple[str, ...]] = {}
    for index, entry in enumerate(items(place, common.get("fallbacks"))):
        for name, others in mapping(f"{place}[{index}]", entry).items():
            fallbacks[name] = parsed(f"{place}[{index}].{name}", others, texts)
    if common.get("default_fallbacks"):
        fallbacks[ANY] = parsed("router_settings.default_fallbacks", common["default_fallbacks"], texts)
    return fallbacks


def _taken(common: Mapping[str, object], base: Frozen, names: Mapping[str, tuple[str, Parser]]) -> Frozen:
    """A copy of a policy with LiteLLM's settings of it, which go by other names there."""
    given = {theirs: rule for theirs, rule in names.items() if common.get(theirs) is not None}
    changes = {
        ours: parsed(f"router_settings.{theirs}", common[theirs], parser)
        for theirs, (ours, parser) in given.items()
    }
    return changed(base, changes)


def _checked(settings: Settings) -> Settings:
    """Rules over several values.

    Raises:
        SettingsError: When one is broken.
    """
    cluster, delivery = settings.cluster, settings.delivery
    if cluster.security.startswith("SASL") and not (cluster.username and cluster.password):
        raise SettingsError(f"weir.kafka: {cluster.security} needs sasl_mechanism, username and password")
    if cluster.security.startswith("SASL") and cluster.sasl_mechanism is None:
        raise SettingsError(f"weir.kafka: {cluster.security} needs sasl_mechanism")
    if delivery.heartbeat * 3 > delivery.session:
        raise SettingsError("weir.delivery: session must be at least three heartbeats long")
    if delivery.commit_every < timedelta(milliseconds=10):
        raise SettingsError("weir.delivery.commit_every: must be at least 10ms")
    _check_names(settings)
    return settings


def _check_names(settings: Settings) -> None:
    catalogue = settings.catalogue()
    known = [*(route.model_name for route in settings.routes), *settings.aliases]
    wanted = {f"router_settings.model_group_alias.{name}": name for name in settings.aliases}
    if AUTO in settings.aliases:
        raise SettingsError("router_settings.model_group_alias: `auto` is taken; choose another name")
    for model, others in settings.fallbacks.items():
        wanted |= {f"router_settings.fallbacks.{model}": model} if model != ANY else {}
        wanted |= {f"router_settings.fallbacks.{model}[{index}]": other for index, other in enumerate(others)}
    for place, name in wanted.items():
        if not catalogue.find(name):
            target = settings.aliases.get(name, name)
            close = nearest(target, known)
            hint = f"; did you mean `{close}`?" if close else ""
            raise SettingsError(f"{place}: no model is named `{target}`{hint}")
