"""LangChain's ChatOpenAI as a user of the gateway."""

from typing import Any

import lines
import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": lines.CITY}}


def model(wish: dict[str, Any]) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{lines.URL}/v1",
        api_key=wish.get("key", lines.KEY),
        model=wish["model"],
        max_retries=wish.get("retries", 0),
        timeout=wish.get("timeout_s", lines.PATIENCE_S),
        default_headers=wish.get("headers"),
        stream_usage=True,
        **wish.get("more", {}),
    )


def create(wish: dict[str, Any]) -> dict[str, Any]:
    read = model(wish).invoke(wish["text"] + " " * wish.get("padding", 0))
    return {
        "text": read.content,
        "finish": read.response_metadata["finish_reason"],
        "input_tokens": read.usage_metadata["input_tokens"],
        "output_tokens": read.usage_metadata["output_tokens"],
    }


def stream(wish: dict[str, Any]) -> dict[str, Any]:
    pieces = []
    for piece in model(wish).stream(wish["text"]):
        pieces += [piece]
        if len([piece for piece in pieces if piece.content]) == wish.get("leave_after"):
            return {"pieces": wish["leave_after"]}
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    return {
        "text": whole.content,
        "pieces": len([piece for piece in pieces if piece.content]),
        "finish": whole.response_metadata["finish_reason"],
        "output_tokens": whole.usage_metadata["output_tokens"],
    }


def tools(wish: dict[str, Any]) -> dict[str, Any]:
    bound, turns = model(wish).bind_tools([TOOL]), [HumanMessage(wish["text"])]
    if wish["stream"]:
        pieces = list(bound.stream(turns))
        first = pieces[0]
        for piece in pieces[1:]:
            first += piece
    else:
        first = bound.invoke(turns)
    (call,) = first.tool_calls
    result = ToolMessage(lines.weather(call["args"]), tool_call_id=call["id"])
    last = bound.invoke([*turns, first, result])
    finish = first.response_metadata["finish_reason"]
    return {"name": call["name"], "arguments": call["args"], "finish": finish, "text": last.content}


def schema(wish: dict[str, Any]) -> dict[str, Any]:
    form = {"title": "weir", **lines.SCHEMA}
    return {"data": model(wish).with_structured_output(form, method="json_schema").invoke(wish["text"])}


def vision(wish: dict[str, Any]) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{wish['png']}"}}
    content = [{"type": "text", "text": wish["text"]}, picture]
    return {"text": model(wish).invoke([HumanMessage(content)]).content}


VERBS: dict[str, lines.Ask] = {
    "create": create,
    "stream": stream,
    "tools": tools,
    "schema": schema,
    "vision": vision,
}

if __name__ == "__main__":
    lines.serve(VERBS, (openai.APIError,))
