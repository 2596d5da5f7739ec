"""Context compression: pure, extractive, within a budget of tokens."""

from flows.stages.compression.compressor import compress
from flows.stages.compression.records import Compressed, Dropped, Kept, UnitScorer

__all__ = ["Compressed", "Dropped", "Kept", "UnitScorer", "compress"]
