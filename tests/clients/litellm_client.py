"""LiteLLM as a user of the gateway, which it takes for OpenAI, or `anthropic` (its argument)."""

import sys
from typing import Any

import lines
import litellm

litellm.telemetry = False
litellm.suppress_debug_info = True
PROVIDER = sys.argv[1] if len(sys.argv) > 1 else "openai"
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": lines.CITY}}
FORM: Any = {
    "type": "json_schema",
    "json_schema": {"name": "weir", "strict": True, "schema": lines.SCHEMA},
}


def ask(wish: dict[str, Any], **more: Any) -> Any:
    text = wish["text"] + " " * wish.get("padding", 0)
    body = {"messages": [{"role": "user", "content": text}], **wish.get("more", {}), **more}
    return litellm.completion(
        model=f"{PROVIDER}/{wish['model']}",
        api_base=lines.URL if PROVIDER == "anthropic" else f"{lines.URL}/v1",
        api_key=wish.get("key", lines.KEY),
        **{"num_retries" if PROVIDER == "anthropic" else "max_retries": wish.get("retries", 0)},
        timeout=wish.get("timeout_s", lines.PATIENCE_S),
        extra_headers=wish.get("headers"),
        **body,
    )


def create(wish: dict[str, Any]) -> dict[str, Any]:
    read = ask(wish)
    return {
        "text": read.choices[0].message.content,
        "finish": read.choices[0].finish_reason,
        "input_tokens": read.usage.prompt_tokens,
        "output_tokens": read.usage.completion_tokens,
    }


def stream(wish: dict[str, Any]) -> dict[str, Any]:
    texts: list[str] = []
    finish = output_tokens = None
    pieces = ask(wish, stream=True, stream_options={"include_usage": True})
    for piece in pieces:
        for choice in piece.choices:
            texts += [choice.delta.content] if choice.delta.content else []
            finish = choice.finish_reason or finish
        usage = getattr(piece, "usage", None)
        output_tokens = usage.completion_tokens if usage else output_tokens
        if len(texts) == wish.get("leave_after"):
            pieces.completion_stream.close()
            break
    return {"text": "".join(texts), "pieces": len(texts), "finish": finish, "output_tokens": output_tokens}


def tools(wish: dict[str, Any]) -> dict[str, Any]:
    first = ask(wish, tools=[TOOL], stream=wish["stream"])
    if wish["stream"]:
        first = litellm.stream_chunk_builder(list(first))
    choice = first.choices[0]
    (call,) = choice.message.tool_calls
    arguments = lines.json.loads(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": lines.weather(arguments)}
    turns = [{"role": "user", "content": wish["text"]}, choice.message.model_dump(exclude_none=True), result]
    last = ask(wish, tools=[TOOL], messages=turns)
    made = {"name": call.function.name, "arguments": arguments, "finish": choice.finish_reason}
    return {**made, "text": last.choices[0].message.content}


def schema(wish: dict[str, Any]) -> dict[str, Any]:
    return {"data": lines.json.loads(ask(wish, response_format=FORM).choices[0].message.content)}


def vision(wish: dict[str, Any]) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{wish['png']}"}}
    content = [{"type": "text", "text": wish["text"]}, picture]
    return {"text": ask(wish, messages=[{"role": "user", "content": content}]).choices[0].message.content}


VERBS: dict[str, lines.Ask] = {
    "create": create,
    "stream": stream,
    "tools": tools,
    "schema": schema,
    "vision": vision,
}

if __name__ == "__main__":
    lines.serve(VERBS, (litellm.exceptions.APIError, litellm.exceptions.openai.OpenAIError))
