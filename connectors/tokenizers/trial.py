"""Tries a `tokenizer.json` in a child process, where a native library may die of it without harm.

The child reads the file's bytes, loads them with `tokenizers` and, if it can, with gigatoken, counts the
probe with both, and prints a JSON line: `{"fast": true}` where both count the same, else why the file is bad.
"""

import subprocess
import sys
from pathlib import Path

import orjson

from connectors.tokenizers import fast, hf
from connectors.tokenizers.errors import TokenizerError
from connectors.tokenizers.probe import probe_texts

TIMEOUT_S = 120.0
"""Longest time a trial may take."""
_FAST = "with-fast"


def tried(data: bytes, name: str) -> bool:
    """Try a file's bytes; whether the fast counter counts as `tokenizers` does.

    Raises:
        TokenizerError: When they are no sound tokenizer.
    """
    reply = _child(data, name, _FAST)
    if reply is None:  # the fast one may have died of it: once more without
        reply = _child(data, name)
    if reply is None:
        raise TokenizerError(f"{name} is no tokenizer.json (loading it ended the process)", hf.HINT)
    if isinstance(reply.get("error"), str):
        raise TokenizerError(str(reply["error"]), str(reply["hint"]))
    return reply.get("fast") is True


def _child(data: bytes, name: str, *options: str) -> dict[str, object] | None:
    """What the child says; nothing where it died."""
    command = [sys.executable, "-m", "connectors.tokenizers.trial", name, *options]
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=TIMEOUT_S, cwd=root, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return orjson.loads(done.stdout) if done.returncode == 0 else None


def main(name: str, with_fast: bool) -> dict[str, object]:
    """What the child does; its argument is the name for messages."""
    data = sys.stdin.buffer.read()
    try:
        counts = hf.counter_of(data, name).count_many(probe_texts())
    except TokenizerError as error:
        message = str(error).removesuffix(f": {error.hint}")
        return {"error": message, "hint": error.hint}
    try:
        return {"fast": with_fast and fast.agree(fast.of_json(data), counts)}
    except (ImportError, ValueError, TypeError) as error:
        return {"fast": False, "why": str(error)[:200]}


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(main(sys.argv[1], _FAST in sys.argv[2:])))
