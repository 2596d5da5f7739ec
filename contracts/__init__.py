"""The contracts: YAML, their checker and renderer."""
