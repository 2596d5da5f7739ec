"""The dataflows and the rules they are made of. Start at `orchestrate.py`."""
