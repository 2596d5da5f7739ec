"""The AsyncAPI 3.0 document and the JSON Schemas of the events."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from contracts.code import ModelFact
from contracts.model import Contract, EventClause, Flow, Operation
from contracts.wire import kept_ms

Json: TypeAlias = dict[str, Any]
"""A JSON object that is written out."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(contract: Contract, fact: ModelFact) -> Json:
    """The JSON Schema of one event, complete in itself."""
    name = fact.model.__name__
    urn = f"urn:weir:{contract.contract}:{contract.version}:{name}"
    return {"$schema": _DIALECT, "$id": urn, **fact.schema}


def document(contract: Contract, facts: Mapping[str, ModelFact]) -> Json:
    """The whole contract as AsyncAPI 3.0: channels are topics, messages are events."""
    events = {name: event for name, event in contract.events.items() if name in facts}
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:weir:{contract.contract}",
        "info": {"title": contract.contract, "version": contract.version, "description": contract.meaning},
        "defaultContentType": "application/json",
        "channels": {topic: _channel(contract, topic, events) for topic in contract.topics},
        "operations": _operations(contract),
        "components": {
            "messages": {name: _message(contract, name, event) for name, event in events.items()},
            "schemas": _schemas(facts),
        },
    }


def _channel(contract: Contract, topic: str, events: Mapping[str, EventClause]) -> Json:
    clause = contract.topics[topic]
    settings: Json = {"cleanup.policy": ["compact"] if clause.compacted else ["delete"]}
    kept = kept_ms(clause.kept)
    if kept is not None:
        settings["retention.ms"] = kept
    kafka: Json = {"topic": topic, "topicConfiguration": settings, "bindingVersion": "0.5.0"}
    if clause.partitions != "P":
        kafka["partitions"] = clause.partitions
    return {
        "address": topic,
        "description": f"{clause.meaning} Key: {clause.key}. Written by: {clause.written_by}. "
        f"Read by: {clause.read_by}.",
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name in clause.carries if name in events
        },
        "bindings": {"kafka": kafka},
    }


def _message(contract: Contract, name: str, event: EventClause) -> Json:
    headers = {
        header: {"type": "string", "description": contract.headers[header].meaning}
        for header in event.headers
        if header in contract.headers
    }
    return {
        "name": name,
        "title": name,
        "summary": event.meaning,
        "contentType": "application/json",
        "headers": {"type": "object", "properties": headers},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"name": name, "payload": dict(event.example)}],
        "bindings": {
            "kafka": {"key": {"type": "string", "description": event.key}, "bindingVersion": "0.5.0"}
        },
    }


def _operations(contract: Contract) -> Json:
    """Seen from the application: what it receives it `receive`s, and an output to an input is its reply."""
    found: Json = {}
    for name, operation in contract.operations.items():
        if operation.input is not None:
            found[name] = _operation("receive", operation, operation.input) | _reply(operation.output)
        elif operation.output is not None:
            found[name] = _operation("send", operation, operation.output)
    return found


def _operation(action: str, operation: Operation, flow: Flow) -> Json:
    return {
        "action": action,
        "description": operation.meaning,
        "channel": _channel_ref(flow),
        "messages": [_message_ref(flow)],
    }


def _reply(output: Flow | None) -> Json:
    if output is None:
        return {}
    return {"reply": {"channel": _channel_ref(output), "messages": [_message_ref(output)]}}


def _channel_ref(flow: Flow) -> Json:
    return {"$ref": f"#/channels/{flow.topic}"}


def _message_ref(flow: Flow) -> Json:
    return {"$ref": f"#/channels/{flow.topic}/messages/{flow.event}"}


def _schemas(facts: Mapping[str, ModelFact]) -> Json:
    """Every schema under its name, nested ones lifted to the same table."""
    found: Json = {}
    for name, fact in facts.items():
        text = orjson.dumps(fact.schema).replace(b"#/$defs/", b"#/components/schemas/")
        schema: Json = orjson.loads(text)
        found.update(schema.pop("$defs", {}))
        found[name] = schema
    return dict(sorted(found.items()))
