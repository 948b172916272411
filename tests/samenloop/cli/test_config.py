"""`samenloop config check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samenloop.cli.tree import run


def test_settings_in_force_are_shown_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, environment and defaults together; a password is never printed."""
    path = tmp_path / "hub.yaml"
    path.write_text("kafka: {prefix: mine., security_protocol: SASL_SSL, sasl_username: me}\n")
    monkeypatch.setenv("SAMENLOOP_KAFKA__SASL_PASSWORD", "geheim")

    text = run(["config", "check", "--config", str(path)]), capsys.readouterr().out
    code = run(["config", "check", "--config", str(path), "--json"])

    values = json.loads(capsys.readouterr().out)
    assert (text[0], code) == (0, 0)
    assert "prefix: mine." in text[1]
    assert values["kafka"]["prefix"] == "mine."
    assert values["kafka"]["sasl_password"] == "**********"
    assert "geheim" not in text[1]


def test_all_problems_of_all_files_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rules and the profiles that the settings name are read too; exit code 2, no traceback."""
    path = tmp_path / "hub.yaml"
    path.write_text(
        "hub: {rules: none.yaml}\nsources:\n"
        "  a: {connector: file-snapshots, profile: gone.yaml}\n  b: {connector: carrier-pigeon, profile: b.yaml}\n"
    )

    code = run(["config", "check", "--config", str(path)])

    told = capsys.readouterr().err
    assert code == 2
    assert "none.yaml: cannot be read" in told
    assert "gone.yaml: cannot be read" in told
    assert "carrier-pigeon: is none of the sources that are installed" in told
    assert "Traceback" not in told


def test_a_wrong_settings_file_names_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem with its line, before anything else is tried."""
    path = tmp_path / "hub.yaml"
    path.write_text("kafka:\n  batch_records: many\nkafak: {}\n")

    code = run(["config", "check", "--config", str(path)])

    assert code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:2: kafka.batch_records: found 'many', expected a valid integer, unable to parse string as an integer",
        f"{path}:3: kafak: is not a known key; did you mean kafka?",
    ]
