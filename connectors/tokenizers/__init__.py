"""Token counters: a fast one, one for any `tokenizer.json`, and an oracle that tests hold them against."""
