"""From `model_list`, as LiteLLM writes it, to routes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from flows.model_facts import packaged
from flows.settings_keys import ENTRY, LITELLM_PARAMS, MODEL_INFO, PARAMS, SettingsError, check_keys, nearest
from flows.settings_providers import PROVIDERS, RENAMED, headers_of, key_of
from flows.settings_values import (
    amount,
    flag,
    mapping,
    parsed,
    positive,
    resolved,
    some_duration,
    text,
)
from flows.settings_way import key_file, travel
from flows.stages.catalogue import AUTO
from schemas.calls import Route, Timeouts

_OPENAI_MODELS = ("gpt-", "o1", "o3", "o4", "chatgpt-")
_CHAT_MODES = ("chat", "completion", "responses")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every entry unless it says otherwise."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    """How long each phase of a call may take."""
    drop_params: bool = False
    """Whether parameters that a provider lacks are left out."""
    providers: Collection[str] = PROVIDERS
    """Names of providers that are known."""
    open: bool = False
    """Whether plugins may bring providers of other names."""


@dataclass(slots=True)
class Models:
    """Routes in the making: one `model_list`, read entry by entry."""

    env: Mapping[str, str]
    defaults: Defaults
    routes: list[tuple[int, Route]] = field(default_factory=list[tuple[int, Route]])
    warnings: list[str] = field(default_factory=list[str])

    def ordered(self) -> tuple[Route, ...]:
        """All routes: models as first named, the routes of one by `order`, then as they stand."""
        groups: dict[str, list[tuple[int, Route]]] = {}
        for order, route in self.routes:
            groups.setdefault(route.model_name, []).append((order, route))
        return tuple(
            route for group in groups.values() for _, route in sorted(group, key=lambda entry: entry[0])
        )

    def add(self, place: str, value: object) -> None:
        """Read one entry.

        Raises:
            SettingsError: When it is wrong.
        """
        entry = mapping(place, value)
        self.warnings += check_keys(place, entry, ENTRY)
        params_place, info_place = f"{place}.litellm_params", f"{place}.model_info"
        params = mapping(params_place, entry.get("litellm_params"))
        info = mapping(info_place, entry.get("model_info"))
        self.warnings += check_keys(params_place, params, LITELLM_PARAMS)
        self.warnings += check_keys(info_place, info, MODEL_INFO)
        model_name = parsed(f"{place}.model_name", entry.get("model_name"), text)
        if model_name == AUTO:
            raise SettingsError(f"{place}.model_name: `auto` means the first healthy; choose another name")
        if not self._left_out(place, model_name, info):
            self.routes.append(self._route(model_name, params_place, params, info_place, info))

    def _route(
        self,
        model_name: str,
        params_place: str,
        params: Mapping[str, object],
        info_place: str,
        info: Mapping[str, object],
    ) -> tuple[int, Route]:
        """The route of an entry, and its `order`."""
        provider, model = self._provider(params_place, params)
        info = packaged().completed(provider, model, info, params)
        reader = _Entry(params_place, {**info, **params}, self.env, self.warnings)
        way = travel(params_place, provider, reader.optional)
        route = Route(
            name=self._unique(f"{provider}:{model}"),
            model_name=model_name,
            provider=provider,
            model=model,
            api_base=reader.address(),
            api_key=reader.key(provider),
            api_key_file=way.api_key_file,
            client=way.client,
            proxy=way.proxy,
            ca_file=way.ca_file,
            client_cert_file=way.client_cert_file,
            verify_tls=way.verify_tls,
            input_cost_usd=reader.price("input_cost_per_token"),
            output_cost_usd=reader.price("output_cost_per_token"),
            cache_read_cost_usd=reader.own_price("cache_read_input_token_cost"),
            cache_write_cost_usd=reader.own_price("cache_creation_input_token_cost"),
            max_input_tokens=reader.limit("max_input_tokens", info_place, info),
            max_output_tokens=reader.output_limit(info_place, info),
            max_connections=reader.connections(),
            timeouts=reader.timeouts(self.defaults.timeouts),
            drop_params=parsed(
                f"{params_place}.drop_params", params.get("drop_params", self.defaults.drop_params), flag
            ),
            params={key: reader.param(key) for key in params if key in PARAMS},
        )
        return reader.order(), route

    def _left_out(self, place: str, model_name: str, info: Mapping[str, object]) -> bool:
        """Whether the entry is of a kind that Weir doesn't serve."""
        mode = str(info.get("mode") or "chat")
        if mode not in _CHAT_MODES:
            self.warnings.append(f"{place}: left out, mode `{mode}` is not served by Weir")
        elif "*" in model_name:
            self.warnings.append(f"{place}: left out, a wildcard in `model_name` is not served by Weir")
        else:
            return False
        return True

    def _unique(self, name: str) -> str:
        taken = {route.name for _, route in self.routes}
        found, number = name, 1
        while found in taken:
            number += 1
            found = f"{name}#{number}"
        return found

    def _provider(self, place: str, params: Mapping[str, object]) -> tuple[str, str]:
        """Provider and model of an entry.

        Raises:
            SettingsError: When the provider is not named, or not known.
        """
        model = parsed(f"{place}.model", params.get("model"), text)
        if params.get("custom_llm_provider") is not None:
            named = parsed(f"{place}.custom_llm_provider", params["custom_llm_provider"], text)
            provider, model = named, model.removeprefix(f"{named}/")
        else:
            provider, model = split_model(model, self.defaults.providers)
        provider = RENAMED.get(provider, provider)
        if provider in self.defaults.providers or (provider and self.defaults.open):
            return provider, model
        known = ", ".join(sorted(self.defaults.providers))
        if not provider:
            raise SettingsError(f"{place}.model: name its provider, as `provider/{model}`; known: {known}")
        close = nearest(provider, self.defaults.providers)
        hint = f"did you mean `{close}`?" if close else f"known: {known}"
        raise SettingsError(f"{place}.model: provider `{provider}` is unknown; {hint}")


def split_model(model: str, providers: Collection[str]) -> tuple[str, str]:
    """Provider and model of `provider/model`, `provider:model` or a bare name; the provider may be empty."""
    head, slash, rest = model.partition("/")
    if slash and rest and ":" not in head:
        return head, rest
    head, colon, rest = model.partition(":")
    if colon and rest and head in providers:
        return head, rest.removeprefix(":")
    if model == "extractive":
        return model, model
    if model.startswith(_OPENAI_MODELS):
        return "openai", model
    guesses = {"claude": "anthropic", "gemini": "gemini"}
    return next((name for start, name in guesses.items() if model.startswith(start)), ""), model


@dataclass(frozen=True, slots=True)
class _Entry:
    """Typed access to one entry's settings."""

    place: str
    values: Mapping[str, object]
    env: Mapping[str, str]
    warnings: list[str]

    def found(self, key: str) -> object:
        """The value of a key, references to the environment resolved."""
        value = self.values.get(key)
        there = resolved(value, self.env)
        if there is None and value is not None:
            raise SettingsError(f"{self.place}.{key}: the variable of {value} is not set")
        return there

    def optional(self, key: str) -> object:
        """The same; a key's missing variable is no error here."""
        return self.values.get(key) if key == "api_key" else self.found(key)

    def param(self, key: str) -> object:
        """A parameter that every call gets."""
        found = self.found(key)
        return headers_of(f"{self.place}.{key}", found, self.env) if key == "extra_headers" else found

    def key(self, provider: str) -> str | None:
        """The secret; a missing variable is a warning only, for servers that need none.

        Where the entry names none it is that of the provider's own variable.
        """
        named = self.values.get("api_key")
        if key_file(self.place, named) is not None:
            return None
        if named is None:
            return key_of(provider, self.env)
        secret = resolved(named, self.env)
        if secret is None:
            self.warnings.append(f"{self.place}.api_key: the variable of {named} is not set; there is no key")
            return None
        return parsed(f"{self.place}.api_key", secret, text)

    def address(self) -> str | None:
        """Base URL without a slash at its end."""
        key = "api_base" if self.values.get("api_base") is not None else "base_url"
        found = self.found(key)
        if found is None:
            return None
        address = parsed(f"{self.place}.{key}", found, text).rstrip("/")
        if not address.startswith(("http://", "https://")):
            raise SettingsError(f"{self.place}.{key}: must begin with http:// or https://")
        return address

    def price(self, key: str) -> float:
        """USD of one token; 0 where it isn't known."""
        return self.own_price(key) or 0.0

    def own_price(self, key: str) -> float | None:
        """USD of one token; `None` where the entry doesn't say."""
        found = self.found(key)
        return None if found is None else parsed(f"{self.place}.{key}", found, amount)

    def limit(self, key: str, place: str, info: Mapping[str, object]) -> int | None:
        """A number of tokens from `model_info`."""
        found = info.get(key)
        return None if found is None else parsed(f"{place}.{key}", found, positive)

    def output_limit(self, place: str, info: Mapping[str, object]) -> int | None:
        """LiteLLM's older files call it `max_tokens`."""
        key = "max_output_tokens" if info.get("max_output_tokens") is not None else "max_tokens"
        return self.limit(key, place, info)

    def connections(self) -> int:
        """Most connections at once."""
        found = self.found("max_parallel_requests")
        if found is not None:
            return parsed(f"{self.place}.max_parallel_requests", found, positive)
        return 4096

    def order(self) -> int:
        """Place among the routes of one name; those without come last."""
        found = self.found("order")
        return 1_000_000 if found is None else int(parsed(f"{self.place}.order", found, amount))

    def timeouts(self, base: Timeouts) -> Timeouts:
        """`timeout` bounds the whole call, `stream_timeout` the wait between two pieces."""
        whole = self.found("timeout" if self.values.get("timeout") is not None else "request_timeout")
        between = self.found("stream_timeout")
        return timeouts_of(
            base,
            None if whole is None else parsed(f"{self.place}.timeout", whole, some_duration),
            None if between is None else parsed(f"{self.place}.stream_timeout", between, some_duration),
        )


def timeouts_of(base: Timeouts, whole: timedelta | None, between: timedelta | None) -> Timeouts:
    """Timeouts by LiteLLM's two settings; what isn't streamed may send its first byte at the very end."""
    total_s = base.total_s if whole is None else whole.total_seconds()
    return Timeouts(
        connect_s=min(base.connect_s, total_s),
        first_byte_s=base.first_byte_s if whole is None else total_s,
        between_bytes_s=base.between_bytes_s if between is None else between.total_seconds(),
        total_s=total_s,
    )
