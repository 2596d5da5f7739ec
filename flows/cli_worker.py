"""`weir worker`: one worker in the foreground.

`weir up` runs this file as a program of its own (`python -m flows.cli_worker`), for a worker that is
started again should not first load all other commands: that halves the time until it serves. With
`--standby` it loads all that a worker needs and waits for its role, a line on stdin: see
`connectors.process.standby`.
"""

import argparse
import os
import sys
from typing import BinaryIO

from connectors.kafka.clients import quieten_kafka_logs
from connectors.process.standby import read_role
from flows.cli_errors import guarded
from flows.settings import load


def serve(config: str | None, instance_id: str | None) -> int:
    """Run a worker until SIGTERM; its exit code.

    Raises:
        KafkaProblem: When no broker answers at the start.
        SettingsError: When the configuration can't be understood.
    """
    quieten_kafka_logs()
    env = dict(os.environ)
    if instance_id is not None:
        env["WEIR_INSTANCE_ID"] = instance_id
    settings = load(config, env)
    from flows.app import run_worker  # only here: it loads all that a worker needs

    return run_worker(settings)


def stand_by(config: str | None, roles: BinaryIO) -> int:
    """Be ready to serve, and serve once a role has come; 0 when none comes any more.

    Raises:
        KafkaProblem: When no broker answers when it begins to serve.
        SettingsError: When the configuration can't be understood.
    """
    settings = load(config, os.environ)
    from flows.app import warm

    warm(settings)
    role = read_role(roles.readline())
    if role is None:
        return 0
    role.assume_output()
    return serve(config, role.instance_id)


def main(args: list[str] | None = None) -> int:
    """The program: the same options as `weir worker`."""
    parser = argparse.ArgumentParser(prog="weir worker")
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--instance-id", metavar="NAME")
    parser.add_argument("--standby", action="store_true", help="wait for the name on stdin")
    found = parser.parse_args(args)
    if found.standby:
        return guarded(lambda: stand_by(found.config, sys.stdin.buffer))
    return guarded(lambda: serve(found.config, found.instance_id))


if __name__ == "__main__":
    sys.exit(main())
