"""The pytest plugin that chooses the broker, run in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).resolve().parents[2]
PROBE = """
import asyncio
from rapport.embedded.broker import read_cluster_id

def test_probe(broker, own_broker):
    assert broker.kind == own_broker.kind == "embedded"
    assert broker.bootstrap != own_broker.bootstrap
    own_broker.kill()
    assert asyncio.run(read_cluster_id(broker.bootstrap)) == broker.cluster_id
"""


def test_tests_get_a_shared_broker_and_an_own_one(tmp_path: Path):
    result = _run_pytest(tmp_path, {})
    assert result.returncode == pytest.ExitCode.OK, result.stdout


def test_an_unknown_kind_is_a_loud_failure(tmp_path: Path):
    result = _run_pytest(tmp_path, {"RAPPORT_TEST_BROKER": "rabbit"})
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "RAPPORT_TEST_BROKER='rabbit': must be one of embedded, kafka" in result.stdout


def test_kafka_without_java_is_a_loud_failure(tmp_path: Path):
    result = _run_pytest(tmp_path, {"RAPPORT_TEST_BROKER": "kafka", "PATH": str(tmp_path)})
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "RAPPORT_TEST_BROKER=kafka: Tests on Apache Kafka need 'java' on the PATH" in result.stdout


def _run_pytest(directory: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    (directory / "test_probe.py").write_text(PROBE)
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    base = {name: value for name, value in os.environ.items() if name != "RAPPORT_TEST_BROKER"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.fixtures.broker", "-q", str(directory)],
        cwd=REPOSITORY,
        env=base | dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
