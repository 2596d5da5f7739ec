"""What a process that serves does to kafka-python once, before its first client."""

from connectors.kafka.clients import quieten_kafka_logs
from connectors.kafka.records import use_quick_records
from connectors.kafka.transports import use_quick_transports


def use_quick_clients() -> None:
    """Quick connections and records, and no more log lines than somebody reads; again, it changes nothing."""
    quieten_kafka_logs()
    use_quick_transports()
    use_quick_records()
