"""Counters and latencies of a process, and their snapshots on `llm.metrics`."""
