"""Kafka: the source, the producer, the rules of delivery, the embedded broker."""
