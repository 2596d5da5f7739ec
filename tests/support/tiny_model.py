"""A language model of 300 tokens for a real Ollama, made on the spot: what it says is known beforehand.

It is a llama with one layer whose attention and feed-forward add nothing, and whose embeddings are unit
vectors: so the next token depends on the last one alone. All else is real: the tokenizer, the template, the
grammar of JSON answers, sampling, batches, windows, streams.

A prompt that ends in `count` is answered with numbers for ever, one that ends in `wait` with `Well.`, any
other with `Hello, reader.`. Where tools are offered the answer is a call of two of them. Where a shape is
asked for, it is `{"city": "Bonn"}`, the second choice of every token: what the grammar leaves.
"""

from pathlib import Path

import gguf
import numpy as np

LENGTH_TOKENS = 8192
"""Context length that the model's file claims."""
HELLO = "Hello, reader."
"""What it says to most prompts."""
SHAPED = '{"city": "Bonn"}'
"""What it says where a shape is asked for."""
TOOLS = '[{"name":"get_weather","arguments":{"city":"Bonn"}},{"name":"get_time","arguments":{"city":"Köln"}}]'
"""The text of its tool calls."""
TEMPLATE = (
    "{{ range .Messages }}<|turn|>{{ .Content }}"
    '{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}{{ end }}'
    "{{ end }}{{ if .Tools }}{{ .Tools }}<|tool|>{{ end }}"
)
"""Chat template, in Ollama's language."""

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_SIZE = 320
_HEADS = 5
_FEED_FORWARD = 32
_FIRST, _SECOND, _END = 20.0, 12.0, 4.0
"""Logits of a token's next one, of the JSON answer, and of the end; all others have 0."""


def vocabulary() -> tuple[list[str], list[int]]:
    """The tokens and their kinds: three control tokens, 256 bytes, markers, then words."""
    kinds = gguf.TokenType
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    for marker in ("<|turn|>", "<|tool|>"):
        tokens.append(marker)
        types.append(kinds.CONTROL)
    for word in ("count", "wait"):
        tokens.append(word)
        types.append(kinds.USER_DEFINED)
    spoken = ["Hello", ",", "▁reader.", TOOLS.replace(" ", "▁"), SHAPED.replace(" ", "▁")]
    spoken += ["▁one", *(f"▁{number}" for number in _NUMBERS[1:]), "Well."]
    return tokens + spoken, [int(kind) for kind in types] + [int(kinds.NORMAL)] * len(spoken)


def _next(tokens: list[str]) -> dict[int, int]:
    """What follows on what; all tokens that aren't named are followed by `Hello`."""
    at = {token: place for place, token in enumerate(tokens)}
    numbers = [at[f"▁{number}"] for number in _NUMBERS]
    follows = dict.fromkeys(range(len(tokens)), at["Hello"])
    follows |= {at["Hello"]: at[","], at[","]: at["▁reader."], at["▁reader."]: at["</s>"]}
    follows |= dict(zip(numbers, [*numbers[1:], numbers[0]], strict=True))
    follows |= {at["count"]: numbers[0], at["wait"]: at["Well."], at["Well."]: at["</s>"]}
    tools, shaped = at[TOOLS.replace(" ", "▁")], at[SHAPED.replace(" ", "▁")]
    return follows | {at["<|tool|>"]: tools, tools: at["</s>"], shaped: at["</s>"]}


def write(path: Path) -> None:
    """Write the model as a GGUF file."""
    tokens, types = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(LENGTH_TOKENS)
    writer.add_embedding_length(_SIZE)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(_SIZE // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    for name, tensor in _tensors(tokens).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(tokens: list[str]) -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]:
    count, key = len(tokens), _SIZE // _HEADS
    embedding = np.zeros((count, _SIZE), np.float32)
    output = np.zeros((count, _SIZE), np.float32)
    shaped = tokens.index(SHAPED.replace(" ", "▁"))
    scale = np.float32(_SIZE**0.5)  # what the norm makes of a unit vector's one
    for token, follower in _next(tokens).items():
        embedding[token, token] = 1
        output[2, token] = _END / scale
        output[shaped, token] = _SECOND / scale
        output[follower, token] = _FIRST / scale

    def zeros(rows: int, columns: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        return np.zeros((rows, columns), np.float32)

    return {
        "token_embd.weight": embedding,
        "output.weight": output,
        "output_norm.weight": np.ones(_SIZE, np.float32),
        "blk.0.attn_norm.weight": np.ones(_SIZE, np.float32),
        "blk.0.attn_q.weight": zeros(_SIZE, _SIZE),
        "blk.0.attn_k.weight": zeros(key, _SIZE),
        "blk.0.attn_v.weight": zeros(key, _SIZE),
        "blk.0.attn_output.weight": zeros(_SIZE, _SIZE),
        "blk.0.ffn_norm.weight": np.ones(_SIZE, np.float32),
        "blk.0.ffn_gate.weight": zeros(_FEED_FORWARD, _SIZE),
        "blk.0.ffn_up.weight": zeros(_FEED_FORWARD, _SIZE),
        "blk.0.ffn_down.weight": zeros(_SIZE, _FEED_FORWARD),
    }
