"""Names that are nearly ours, and the foreign ones that are right as they stand. Pure."""

from collections.abc import Iterable

_OPENAI = (
    "audio frequency_penalty function_call functions logit_bias logprobs modalities moderation n "
    "parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options "
    "prompt_cache_retention reasoning_effort safety_identifier service_tier store stream_options "
    "top_logprobs user verbosity web_search_options extra_headers extra_query extra_body"
)
_ANTHROPIC = (
    "cache_control container context_management diagnostics inference_geo mcp_servers output_config "
    "speed stop_sequences system thinking top_k user_profile_id workspace_id"
)
_OLLAMA = "format keep_alive options raw suffix template think"
_OPEN_SERVERS = (
    "add_generation_prompt best_of cache_prompt chat_template chat_template_kwargs echo grammar "
    "guided_choice guided_grammar guided_json guided_regex ignore_eos include_stop_str_in_output "
    "json_schema length_penalty min_p min_tokens mirostat n_predict prompt_logprobs regex "
    "repeat_penalty repetition_penalty skip_special_tokens spaces_between_special_tokens "
    "stop_token_ids structured_outputs top_a top_n truncate_prompt_tokens typical_p use_beam_search"
)
_ROUTERS = (
    "api_base api_key api_version base_url caching mode models num_retries plugins provider route "
    "routing tags transforms usage"
)

PASSED_ON: frozenset[str] = frozenset(f"{_OPENAI} {_ANTHROPIC} {_OLLAMA} {_OPEN_SERVERS} {_ROUTERS}".split())
"""Parameters of the providers' APIs, handed on as they are: never a misspelling, however near to ours."""

_MAX_CHARS = 60
_TIME_UNITS = frozenset({"ms", "s", "sec", "secs", "second", "seconds", "millis", "milliseconds", "at"})


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant, or `None`.

    Meant is a name that differs only in case, `_` and `-`; one that differs only in its unit of time;
    or else the nearest with the same first letter, one slip of the keyboard away (two from ten letters on).
    """
    if len(name) > _MAX_CHARS:
        return None
    flat, bare = _flat(name), _without_unit(name)
    best: tuple[int, str] | None = None
    for each in known:
        target = _flat(each)
        if target == flat or (each.endswith("_ms") and _without_unit(each) == bare):
            return each
        slips = _slips(flat, target)
        if slips is not None and (best is None or slips < best[0]):
            best = slips, each
    return best[1] if best else None


def _slips(flat: str, target: str) -> int | None:
    """Slips of the keyboard between the two, `None` where they are more than a typist makes."""
    if target + "s" == flat:
        return 1
    allowed = 2 if len(target) >= 10 else 1
    if len(target) < 5 or flat[:1] != target[0] or abs(len(flat) - len(target)) > allowed:
        return None
    slips = _distance(flat, target)
    return slips if slips <= allowed else None


def _distance(one: str, other: str) -> int:
    """Letters inserted, left out, changed, or swapped with their neighbour (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def _flat(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _without_unit(name: str) -> str:
    stem, _, unit = name.lower().replace("-", "_").rpartition("_")
    return _flat(stem) if unit in _TIME_UNITS else _flat(name)
