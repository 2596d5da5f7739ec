"""What the Python clients have in common: one JSON line in, what the client made of it as one line out.

`serve` gets a function for each thing that can be asked. Only the standard library: these programs run in
environments of their own.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

URL = os.environ.get("GATEWAY_URL", "")
KEY = os.environ.get("GATEWAY_KEY", "")
PATIENCE_S = 20.0
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "gates": {"type": "integer"}},
    "required": ["name", "gates"],
    "additionalProperties": False,
}
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Does one thing; what came of it."""


def weather(arguments: dict[str, Any]) -> str:
    """The tool that the model may call."""
    return f"12 degrees in {arguments['city']}"


def serve(verbs: dict[str, Ask], errors: tuple[type[Exception], ...]) -> None:
    """Do what each line asks until there are no more; an error of the client's is an answer, too."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some libraries print; that is none of our lines

    def say(told: Any) -> None:
        print(json.dumps(told), file=out, flush=True)

    say(sorted(verbs))
    for line in sys.stdin:
        wish = json.loads(line)
        try:
            told = verbs[wish["verb"]](wish)
        except errors as error:
            told = {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
            told |= {"message": str(error)[:500], "code": getattr(error, "code", None)}
        say(told)
