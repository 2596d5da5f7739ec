"""What a process that serves does to kafka-python once, before its first client."""

from connectors.kafka.clients import quieten_kafka_logs
from connectors.kafka.containers import use_quick_containers
from connectors.kafka.headers import use_quick_headers
from connectors.kafka.records import use_quick_records
from connectors.kafka.transports import use_quick_transports
from connectors.kafka.unpack import use_quick_reads


def use_quick_clients() -> None:
    """Quick connections and records, and log lines that somebody reads only; again, it changes nothing."""
    quieten_kafka_logs()
    use_quick_transports()
    use_quick_containers()
    use_quick_headers()
    use_quick_records()
    use_quick_reads()
