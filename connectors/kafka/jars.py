"""Find Java, and the jars of the embedded broker: fetched once by Maven into a cache per user.

The cache is `~/.cache/weir/kafka-4.4.0`, or below `WEIR_CACHE`. A fetch works in a folder beside it
and is renamed when it is whole, so an interrupted one is never taken for a whole one. Its marker holds
the digest of `pom.xml`: another pom is another fetch.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from connectors.kafka.errors import BrokerFailed, NotInstalled

KAFKA_VERSION = "4.4.0"
LEAST_JAVA = 17
INSTALL_HINT = (
    "install it (Debian, Ubuntu: `apt-get install openjdk-17-jre-headless maven`)"
    " or set KAFKA_BOOTSTRAP_SERVERS"
)
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_FETCH_TIMEOUT_S = 600
_MARKER = "complete"


def asset(name: str) -> str:
    """Text of a file of `deploy/kafka/`."""
    return resources.files("deploy").joinpath("kafka", name).read_text(encoding="utf-8")


def find_java(env: Mapping[str, str]) -> str:
    """Path of a Java that is new enough: that of JAVA_HOME, else the first on PATH.

    Raises:
        NotInstalled: When there is none, or it is older than 17.
    """
    home = env.get("JAVA_HOME")
    candidate = Path(home, "bin", "java") if home else None
    if candidate is not None and os.access(candidate, os.X_OK):
        java = str(candidate)
    else:
        found = shutil.which("java", path=env.get("PATH", ""))
        if found is None:
            raise NotInstalled("the embedded broker needs Java 17 or newer", hint=INSTALL_HINT)
        java = found
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    version = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if version is None or int(version[1]) < LEAST_JAVA:
        seen = version[1] if version else "unknown"
        raise NotInstalled(f"{java} is Java {seen}, the embedded broker needs 17 or newer", hint=INSTALL_HINT)
    return java


def cache_dir(env: Mapping[str, str]) -> Path:
    """Where the jars are, or will be."""
    root = env.get("WEIR_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "weir") / f"kafka-{KAFKA_VERSION}"


def find_jars(env: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """Folder of the broker's jars; fetched first where they are not there yet.

    Raises:
        NotInstalled: When they must be fetched and there is no Maven.
        BrokerFailed: When Maven fails.
    """
    folder = cache_dir(env)
    digest = hashlib.sha256(asset("pom.xml").encode()).hexdigest()
    if _is_whole(folder, digest):
        return folder / "libs"
    maven = shutil.which("mvn", path=env.get("PATH", ""))
    if maven is None:
        raise NotInstalled("fetching the embedded broker needs Maven", hint=INSTALL_HINT)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(folder, digest):  # another process may have fetched while we waited
            say(f"fetching Apache Kafka {KAFKA_VERSION} (43 MB, once)")
            _fetch(maven, folder, digest, env)
    return folder / "libs"


def _is_whole(folder: Path, digest: str) -> bool:
    marker = folder / _MARKER
    return marker.is_file() and marker.read_text() == digest


def _fetch(maven: str, folder: Path, digest: str, env: Mapping[str, str]) -> None:
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        (work / "pom.xml").write_text(asset("pom.xml"))
        command = [maven, "-B", "-q", "-ntp", "-f", str(work / "pom.xml"), _PLUGIN]
        command += [f"-DoutputDirectory={work / 'libs'}", "-DincludeScope=runtime"]
        _run_maven(command, env)
        if not list((work / "libs").glob("kafka_*.jar")):
            raise BrokerFailed("Maven brought no Kafka", hint=f"see what `{maven} -version` says")
        (work / _MARKER).write_text(digest)
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run_maven(command: list[str], env: Mapping[str, str]) -> None:
    hint = "check the network and the Maven settings, then try again"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False, env=dict(env)
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerFailed(f"Maven took longer than {_FETCH_TIMEOUT_S} s", hint=hint) from error
    if done.returncode != 0:
        first = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason given")
        raise BrokerFailed(f"Maven failed: {first[:300]}", hint=hint)
