"""Context compression: pure, extractive, within a budget of tokens."""

from flows.stages.compression.chats import Changed, ChatPolicy, CompressedChat, compress_messages
from flows.stages.compression.compressor import compress
from flows.stages.compression.records import Compressed, Counter, Dropped, Kept, UnitScorer
from flows.stages.compression.turns import question_of

__all__ = [
    "Changed",
    "ChatPolicy",
    "Compressed",
    "CompressedChat",
    "Counter",
    "Dropped",
    "Kept",
    "UnitScorer",
    "compress",
    "compress_messages",
    "question_of",
]
