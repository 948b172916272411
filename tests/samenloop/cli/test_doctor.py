"""`samenloop doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samenloop.cli.tree import run


def test_the_machine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without settings only the machine; each thing with its state, for people and for machines."""
    monkeypatch.chdir(tmp_path)

    code = run(["doctor", "--json"])

    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["python"]["state"] in ("ok", "warn")
    assert "kafka" not in checks
    assert code == (0 if all(check["state"] != "fail" for check in checks.values()) else 1)


def test_what_the_settings_name_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Kafka that does not answer is named with its address and the line that helps; exit code 1."""
    path = tmp_path / "hub.yaml"
    path.write_text("kafka: {bootstrap_servers: '127.0.0.1:1'}\nregistry: {url: 'http://127.0.0.1:2/apis'}\n")

    code = run(["doctor", "--config", str(path)])

    said = capsys.readouterr().out
    assert code == 1
    assert "FAIL  kafka" in said
    assert "127.0.0.1:1" in said
    assert "→" in said


def test_settings_that_cannot_work_are_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong settings do not keep the doctor from looking at the machine."""
    path = tmp_path / "hub.yaml"
    path.write_text("kafak: {}\n")

    code = run(["doctor", "--config", str(path)])

    said = capsys.readouterr().out
    assert code == 1
    assert "kafak: is not a known key; did you mean kafka?" in said
    assert "python" in said
