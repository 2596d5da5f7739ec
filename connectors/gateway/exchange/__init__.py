"""Requests go to Kafka and their answers come back: the only part of the gateway that knows Kafka's log."""
