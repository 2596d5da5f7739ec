"""Settings of the commands: the same loader as the workers', from the environment and `WEIR_CONFIG`."""

import os

from flows.settings import Settings, load


def load_settings(config: str | None = None) -> Settings:
    """The settings that hold for this command.

    Raises:
        SettingsError: When the file or the environment can't be understood.
    """
    return load(config, os.environ)
