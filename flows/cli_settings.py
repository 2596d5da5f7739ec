"""Settings of the commands: the workers' own loader, and the Kafka of the `weir up` that runs here."""

import os
from pathlib import Path

from connectors.kafka.clients import quieten_kafka_logs
from connectors.process import state
from flows.settings import Settings, load

KAFKA = "KAFKA_BOOTSTRAP_SERVERS"


def load_settings(config: str | None = None) -> Settings:
    """The settings that hold for this command. kafka-python's warnings become short lines from here on.

    Raises:
        SettingsError: When the file or the environment can't be understood.
    """
    quieten_kafka_logs()
    env = dict(os.environ)
    running = state.read(Path(env.get("WEIR_DATA", ".weir")).absolute() / "run")
    if running is not None:
        env.setdefault(KAFKA, running.bootstrap)
    return load(config, env)
