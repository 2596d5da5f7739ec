"""Conversations: the turns of `llm.contexts`, kept in a local file, and read for the next turn."""
