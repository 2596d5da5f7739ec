"""The official OpenAI client (Python) as a user of the gateway."""

from typing import Any

import lines
import openai

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": lines.CITY}}
FORM: Any = {
    "type": "json_schema",
    "json_schema": {"name": "weir", "strict": True, "schema": lines.SCHEMA},
}


def client(wish: dict[str, Any]) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{lines.URL}/v1",
        api_key=wish.get("key", lines.KEY),
        max_retries=wish.get("retries", 0),
        timeout=wish.get("timeout_s", lines.PATIENCE_S),
        default_headers=wish.get("headers"),
    )


def turns(wish: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": wish["text"] + " " * wish.get("padding", 0)}]


def create(wish: dict[str, Any]) -> dict[str, Any]:
    more = wish.get("more", {})
    with client(wish) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model=wish["model"], messages=turns(wish), **more)
    read = raw.parse()
    return {
        "text": read.choices[0].message.content,
        "finish": read.choices[0].finish_reason,
        "input_tokens": read.usage.prompt_tokens if read.usage else None,
        "output_tokens": read.usage.completion_tokens if read.usage else None,
        "request_id": read._request_id,
        "served": raw.headers.get("x-weir-provider"),
    }


def stream(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        pieces = sdk.chat.completions.create(
            model=wish["model"],
            messages=turns(wish),
            stream=True,
            stream_options={"include_usage": True},
        )
        texts: list[str] = []
        finish = output_tokens = None
        for piece in pieces:
            for choice in piece.choices:
                texts += [choice.delta.content] if choice.delta.content else []
                finish = choice.finish_reason or finish
            output_tokens = piece.usage.completion_tokens if piece.usage else output_tokens
            if len(texts) == wish.get("leave_after"):
                pieces.close()
                break
    return {"text": "".join(texts), "pieces": len(texts), "finish": finish, "output_tokens": output_tokens}


def tools(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        asked: dict[str, Any] = {"model": wish["model"], "messages": turns(wish), "tools": [TOOL]}
        if wish["stream"]:
            with sdk.chat.completions.stream(**asked) as events:
                choice = events.get_final_completion().choices[0]
        else:
            choice = sdk.chat.completions.create(**asked).choices[0]
        (call,) = choice.message.tool_calls
        arguments = lines.json.loads(call.function.arguments)
        result = {"role": "tool", "tool_call_id": call.id, "content": lines.weather(arguments)}
        again = [*asked["messages"], choice.message.to_dict(), result]
        last = sdk.chat.completions.create(**asked | {"messages": again})
    made = {"name": call.function.name, "arguments": arguments, "finish": choice.finish_reason}
    return {**made, "text": last.choices[0].message.content}


def schema(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        read = sdk.chat.completions.create(model=wish["model"], messages=turns(wish), response_format=FORM)
    return {"data": lines.json.loads(read.choices[0].message.content or "")}


def vision(wish: dict[str, Any]) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{wish['png']}"}}
    content = [{"type": "text", "text": wish["text"]}, picture]
    messages: Any = [{"role": "user", "content": content}]
    with client(wish) as sdk:
        read = sdk.chat.completions.create(model=wish["model"], messages=messages)
    return {"text": read.choices[0].message.content}


def responses(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        whole = sdk.responses.create(model=wish["model"], input=wish["text"])
        with sdk.responses.stream(model=wish["model"], input=wish["text"]) as events:
            streamed = events.get_final_response()
    return {"text": whole.output_text, "streamed": streamed.output_text}


def models(wish: dict[str, Any]) -> dict[str, Any]:
    with client(wish) as sdk:
        return {"models": [model.id for model in sdk.models.list()]}


VERBS: dict[str, lines.Ask] = {
    "create": create,
    "stream": stream,
    "tools": tools,
    "schema": schema,
    "vision": vision,
    "responses": responses,
    "models": models,
}

if __name__ == "__main__":
    lines.serve(VERBS, (openai.APIError,))
