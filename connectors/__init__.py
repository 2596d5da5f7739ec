"""Everything outside: Kafka, providers, tokenizers. Knows the schemas, not the flows."""
