"""How large a window (`num_ctx`) a call asks Ollama for, so that nothing is truncated in silence. Pure.

Ollama cuts a prompt that is longer than its window, and by itself says nothing. Rules that hold here:
- The window is the smallest power of two, 2048 at least, that holds our count of the input, a margin over it
  (a quarter and 64 tokens: the count is made with another tokenizer than the model's, and the model's
  template adds to it) and the answer's limit (1024 tokens where the call has none). Powers of two, because
  Ollama loads a model anew whenever its window changes.
- It is never larger than the model's length (`max_input_tokens` of the route), where that is known. There
  the margin gives way: a call that fits by our count is sent.
- A window that the request or the route asks for holds, if it is large enough by our count.
- A call that is too long is an error with the numbers.
- Where our count was too low all the same, `truncate` and `shift` (Ollama 0.12.6 and newer; older ones don't
  look at them) make the server answer with an error, or end the answer with `length`, rather than forget.
"""

from schemas.base import JsonObject
from schemas.calls import Call, Missing, Refused

MIN_WINDOW_TOKENS = 2048
"""Smallest window that is asked for."""
UNLIMITED_RESERVE_TOKENS = 1024
"""Room for the answer where the call has no limit."""
MARGIN_TOKENS = 64
"""Least margin over our count of the input."""
MARGIN_RATIO = 0.25
"""Margin over our count of the input, as a share of it."""
WHOLE: JsonObject = {"truncate": False, "shift": False}
"""What tells a server to fail rather than to forget; the SDK has no argument for it."""


def window_tokens(call: Call, options: JsonObject) -> int:
    """The window to ask for; `options` are the call's, with its own `num_ctx` and its `num_predict`.

    Raises:
        Refused: When the request's own window is too small for it, or no number.
        Missing: When the route's own window, or the model, is too small.
    """
    limit_tokens = _limit_tokens(options)
    counted_tokens = call.input_tokens + (limit_tokens or 0)
    own = options.get("num_ctx")
    if own is not None:
        return _own(call, own, counted_tokens)
    length_tokens = call.route.max_input_tokens
    if length_tokens is not None and counted_tokens > length_tokens:
        raise Missing(f"{_needs(call, counted_tokens)}, and `{call.route.model}` holds {length_tokens}")
    reserve_tokens = UNLIMITED_RESERVE_TOKENS if limit_tokens is None else limit_tokens
    needed_tokens = call.input_tokens + margin_tokens(call.input_tokens) + reserve_tokens
    stepped = 1 << (max(needed_tokens, MIN_WINDOW_TOKENS) - 1).bit_length()
    return min(stepped, length_tokens or stepped)


def margin_tokens(input_tokens: int) -> int:
    """Room over our count of the input."""
    return MARGIN_TOKENS + int(input_tokens * MARGIN_RATIO)


def _limit_tokens(options: JsonObject) -> int | None:
    """The answer's limit; Ollama's -1 and -2 mean that there is none."""
    found = options.get("num_predict")
    return found if isinstance(found, int) and found > 0 else None


def _own(call: Call, own: object, counted_tokens: int) -> int:
    if not isinstance(own, int) or isinstance(own, bool) or own <= 0:
        raise Refused("`num_ctx` must be a whole number of tokens over 0")
    if own >= counted_tokens:
        return own
    extra = call.request.model_extra or {}
    options = extra.get("options")
    asked = "num_ctx" in extra or (isinstance(options, dict) and "num_ctx" in options)
    reason = f"{_needs(call, counted_tokens)}, and `num_ctx` is {own}: make it larger or leave it out"
    raise Refused(reason) if asked else Missing(f"{reason} of route `{call.route.name}`")


def _needs(call: Call, counted_tokens: int) -> str:
    wanted_tokens = counted_tokens - call.input_tokens
    return f"the call needs {counted_tokens} tokens ({call.input_tokens} in, {wanted_tokens} out)"
