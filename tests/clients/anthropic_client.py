"""The official Anthropic client (Python) as a user of the gateway."""

from typing import Any

import anthropic
import lines

TOOL: Any = {"name": "weather", "input_schema": lines.CITY}
MAX_TOKENS = 256


def client(wish: dict[str, Any]) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=lines.URL,
        api_key=wish.get("key", lines.KEY),
        max_retries=wish.get("retries", 0),
        timeout=wish.get("timeout_s", lines.PATIENCE_S),
        default_headers=wish.get("headers"),
    )


def asked(wish: dict[str, Any]) -> dict[str, Any]:
    text = wish["text"] + " " * wish.get("padding", 0)
    return {"model": wish["model"], "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": text}]}


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def create(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        raw = sdk.messages.with_raw_response.create(**asked(wish), extra_body=wish.get("more"))
    read = raw.parse()
    return {
        "text": text_of(read),
        "finish": read.stop_reason,
        "input_tokens": read.usage.input_tokens,
        "output_tokens": read.usage.output_tokens,
        "request_id": read._request_id,
        "served": raw.headers.get("x-weir-provider"),
    }


def stream(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk, sdk.messages.stream(**asked(wish)) as events:
        texts: list[str] = []
        for text in events.text_stream:
            texts.append(text)
            if len(texts) == wish.get("leave_after"):
                return {"pieces": len(texts)}
        read = events.get_final_message()
    tokens = read.usage.output_tokens
    return {"text": text_of(read), "pieces": len(texts), "finish": read.stop_reason, "output_tokens": tokens}


def tools(wish: dict[str, Any]) -> dict[str, Any]:
    body = asked(wish) | {"tools": [TOOL]}
    with client(wish) as sdk:
        if wish["stream"]:
            with sdk.messages.stream(**body) as events:
                read = events.get_final_message()
        else:
            read = sdk.messages.create(**body)
        (call,) = [block for block in read.content if block.type == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": lines.weather(call.input)}
        turns = [{"role": "assistant", "content": read.content}, {"role": "user", "content": [result]}]
        last = sdk.messages.create(**body | {"messages": [*body["messages"], *turns]})
    made = {"name": call.name, "arguments": call.input, "finish": read.stop_reason}
    return {**made, "text": text_of(last)}


def schema(wish: dict[str, Any]) -> dict[str, Any]:
    form = {"format": {"type": "json_schema", "schema": lines.SCHEMA}}
    with client(wish) as sdk:
        read = sdk.messages.create(**asked(wish), output_config=form)
    return {"data": lines.json.loads(text_of(read))}


def vision(wish: dict[str, Any]) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": wish["png"]}
    content = [{"type": "image", "source": source}, {"type": "text", "text": wish["text"]}]
    with client(wish) as sdk:
        read = sdk.messages.create(**asked(wish) | {"messages": [{"role": "user", "content": content}]})
    return {"text": text_of(read)}


def count(wish: dict[str, Any]) -> dict[str, Any]:
    body = asked(wish)
    with client(wish) as sdk:
        read = sdk.messages.count_tokens(model=body["model"], messages=body["messages"])
    return {"input_tokens": read.input_tokens}


def models(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        return {"models": [model.id for model in sdk.models.list()]}


VERBS: dict[str, lines.Ask] = {
    "create": create,
    "stream": stream,
    "tools": tools,
    "schema": schema,
    "vision": vision,
    "count": count,
    "models": models,
}

if __name__ == "__main__":
    lines.serve(VERBS, (anthropic.APIError,))
