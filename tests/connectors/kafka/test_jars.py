"""Java and the jars: found, fetched once, never half."""

import os
import re
from pathlib import Path

import pytest

from connectors.kafka import jars
from connectors.kafka.errors import BrokerFailed, NotInstalled


def _program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


FAKE_MAVEN = """
for word; do case $word in -DoutputDirectory=*) out=${word#*=};; esac; done
mkdir -p "$out" && echo jar > "$out/kafka_2.13-4.4.0.jar"
echo run >> "$WEIR_CACHE/runs"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a cache of its own, and a PATH of a `bin` folder and the shell's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "cache").mkdir()
    return {"PATH": f"{tmp_path / 'bin'}:/bin:/usr/bin", "WEIR_CACHE": str(tmp_path / "cache")}


def test_java_of_java_home_goes_before_that_of_the_path(tmp_path: Path, env: dict[str, str]):
    java = _program(tmp_path / "home" / "bin", "java", "echo 'openjdk version \"21.0.1\"' >&2")
    _program(tmp_path / "bin", "java", "echo 'openjdk version \"17.0.1\"' >&2")

    assert jars.find_java(env | {"JAVA_HOME": str(tmp_path / "home")}) == str(java)
    assert jars.find_java(env | {"JAVA_HOME": str(tmp_path)}) == str(tmp_path / "bin" / "java")


def test_java_that_is_too_old_is_refused(tmp_path: Path, env: dict[str, str]):
    _program(tmp_path / "bin", "java", "echo 'openjdk version \"11.0.2\"' >&2")

    with pytest.raises(NotInstalled, match="is Java 11, the embedded broker needs 17 or newer"):
        jars.find_java(env)


def test_java_that_says_nothing_is_refused(tmp_path: Path, env: dict[str, str]):
    _program(tmp_path / "bin", "java", "true")

    with pytest.raises(NotInstalled, match="is Java unknown"):
        jars.find_java(env)


def test_no_java_says_what_to_install(tmp_path: Path):
    with pytest.raises(NotInstalled, match="apt-get install openjdk-17-jre-headless maven"):
        jars.find_java({"PATH": str(tmp_path)})


def test_jars_are_fetched_once(tmp_path: Path, env: dict[str, str]):
    _program(tmp_path / "bin", "mvn", FAKE_MAVEN)
    said: list[str] = []

    found = {jars.find_jars(env, said.append) for _ in range(2)}

    assert found == {tmp_path / "cache" / "kafka-4.4.0" / "libs"}
    assert (tmp_path / "cache" / "runs").read_text() == "run\n"
    assert said == ["fetching Apache Kafka 4.4.0 (43 MB, once)"]


def test_no_maven_matters_only_while_the_jars_are_missing(tmp_path: Path, env: dict[str, str]):
    bare = env | {"PATH": str(tmp_path / "bin")}
    with pytest.raises(NotInstalled, match="needs Maven"):
        jars.find_jars(bare, print)

    _program(tmp_path / "bin", "mvn", FAKE_MAVEN)
    jars.find_jars(env, lambda _: None)
    (tmp_path / "bin" / "mvn").unlink()

    assert jars.find_jars(bare, print).is_dir()


def test_interrupted_fetch_is_not_taken_for_a_whole_one(tmp_path: Path, env: dict[str, str]):
    half = tmp_path / "cache" / "kafka-4.4.0" / "libs"
    half.mkdir(parents=True)
    (half / "half.jar").write_text("half")
    _program(tmp_path / "bin", "mvn", FAKE_MAVEN)

    found = jars.find_jars(env, lambda _: None)

    assert [path.name for path in found.iterdir()] == ["kafka_2.13-4.4.0.jar"]


def test_jars_of_another_pom_are_fetched_again(tmp_path: Path, env: dict[str, str]):
    _program(tmp_path / "bin", "mvn", FAKE_MAVEN)
    jars.find_jars(env, lambda _: None)
    (tmp_path / "cache" / "kafka-4.4.0" / "complete").write_text("another")

    jars.find_jars(env, lambda _: None)

    assert (tmp_path / "cache" / "runs").read_text() == "run\nrun\n"


def test_failed_fetch_says_why_and_leaves_nothing(tmp_path: Path, env: dict[str, str]):
    _program(tmp_path / "bin", "mvn", "echo '[ERROR] no route to the registry'; exit 1")

    with pytest.raises(BrokerFailed, match=r"Maven failed: .ERROR. no route"):
        jars.find_jars(env, lambda _: None)

    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kafka-4.4.0.lock"]


def test_maven_that_brings_nothing_is_a_failure(tmp_path: Path, env: dict[str, str]):
    _program(tmp_path / "bin", "mvn", "true")

    with pytest.raises(BrokerFailed, match="Maven brought no Kafka"):
        jars.find_jars(env, lambda _: None)


def test_maven_that_hangs_is_given_up(tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jars, "_FETCH_TIMEOUT_S", 0.2)
    _program(tmp_path / "bin", "mvn", "exec sleep 5")

    with pytest.raises(BrokerFailed, match=r"Maven took longer than 0\.2 s"):
        jars.find_jars(env, lambda _: None)


def test_cache_is_in_the_home_folder_unless_named():
    assert jars.cache_dir({}) == Path.home() / ".cache" / "weir" / "kafka-4.4.0"


def test_pom_asks_for_the_version_that_the_cache_is_named_after():
    found = re.search(
        r"<artifactId>kafka_2\.13</artifactId>\s*<version>(.*)</version>", jars.asset("pom.xml")
    )

    assert found is not None
    assert found[1] == jars.KAFKA_VERSION


def test_assets_name_no_machine():
    text = jars.asset("server.properties") + jars.asset("pom.xml") + jars.asset("log4j2.properties")

    assert os.sep + "home" not in text
    assert "http" not in text.replace("http://maven.apache.org/POM/4.0.0", "")
