"""Settings: one file, the environment on top, every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from samenloop.errors import BadSettings
from samenloop.settings import load_hub, variables


def write(folder: Path, text: str) -> Path:
    path = folder / "hub.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path | None, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load_hub(path, env or {})
    return caught.value.problems


def test_defaults_make_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file and variables the hub listens on loopback only."""
    monkeypatch.chdir(tmp_path)

    hub = load_hub(None, {})

    assert hub.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert hub.metrics.host == "127.0.0.1"
    assert hub.data_dir == tmp_path / "build/data"


def test_all_problems_at_once_with_lines(tmp_path: Path) -> None:
    """Every problem is one line that names file, line, key, what was found and what is expected."""
    path = write(
        tmp_path,
        "kafka:\n  session_timeout_seconds: soon\nhub:\n  clock: later\n  metric_crs: EPSG:28992\n"
        "delivery:\n  allow_destinations: [127.0.0.0/99]\n",
    )

    found = problems(path)

    assert found == [
        f"{path}:2: kafka.session_timeout_seconds: found 'soon', expected a valid integer, "
        "unable to parse string as an integer",
        f"{path}:4: hub.clock: found 'later', expected wall, event or a date such as 2027-01-04",
        f"{path}:7: delivery.allow_destinations.0: found '127.0.0.0/99', expected a network such as 127.0.0.0/8",
    ]


def test_unknown_keys_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A key that does not exist is never silently ignored, at any depth."""
    path = write(
        tmp_path, "sources:\n  aalburg:\n    connector: file-snapshots\n    profile: a.yaml\n    poll_every_second: 5\n"
    )

    assert problems(path) == [
        f"{path}:5: sources.aalburg.poll_every_second: is not a known key; did you mean poll_every_seconds?"
    ]


def test_duplicate_keys_are_refused(tmp_path: Path) -> None:
    """YAML would take the second one silently."""
    path = write(tmp_path, "kafka: {}\nhub: {}\nkafka: {}\n")

    assert problems(path) == [f"{path}:3: kafka: is given twice"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kafka: [", "not valid YAML"),
        ("- a\n- b\n", "(file)"),
        ("kafka: 5\n", "kafka"),
        ("a: \x01\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_settings_file(tmp_path: Path, text: str, words: str) -> None:
    """Broken YAML, a list, or a number where a section belongs is a problem with a line, not a crash."""
    found = problems(write(tmp_path, text))

    assert len(found) == 1
    assert words in found[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that was asked for must be there; one that was not asked for need not."""
    assert "cannot be read" in problems(tmp_path / "none.yaml")[0]


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable overrides a key of a section; lists are given as in YAML."""
    path = write(tmp_path, "kafka:\n  prefix: file.\n  batch_records: 5\n")

    hub = load_hub(
        path,
        {
            "SAMENLOOP_KAFKA__PREFIX": "env.",
            "SAMENLOOP_METRICS__PORT": "9100",
            "SAMENLOOP_DELIVERY__ALLOW_DESTINATIONS": "[127.0.0.0/8]",
            "HOME": "unrelated",
        },
    )

    assert (hub.kafka.prefix, hub.kafka.batch_records, hub.metrics.port) == ("env.", 5, 9100)
    assert hub.delivery.allow_destinations == ["127.0.0.0/8"]


def test_misspelt_variables_are_refused(tmp_path: Path) -> None:
    """A variable with our prefix that names no setting is refused, and the nearest name is offered."""
    found = problems(write(tmp_path, ""), {"SAMENLOOP_KAFAK__PREFIX": "x", "SAMENLOOP_METRICS__PORT": "many"})

    assert found == [
        "SAMENLOOP_METRICS__PORT: metrics.port: found 'many', expected a valid integer, "
        "unable to parse string as an integer",
        "SAMENLOOP_KAFAK__PREFIX: names no setting; did you mean SAMENLOOP_KAFKA__PREFIX?",
    ]


def test_every_scalar_has_a_variable() -> None:
    """Whatever can be set once in the file can be set from the environment; sources are given in the file."""
    names = variables()

    assert names["SAMENLOOP_KAFKA__BOOTSTRAP_SERVERS"] == ("kafka", "bootstrap_servers")
    assert names["SAMENLOOP_DATA_DIR"] == ("data_dir",)
    assert not any("SOURCES" in name for name in names)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """The hub may be started from anywhere."""
    path = write(tmp_path, "hub: {rules: rules.yaml}\nsources: {a: {connector: file-snapshots, profile: p/a.yaml}}\n")

    hub = load_hub(path, {})

    assert hub.hub.rules == tmp_path / "rules.yaml"
    assert hub.sources["a"].profile == tmp_path / "p/a.yaml"


def test_secrets_never_print(tmp_path: Path) -> None:
    """Neither the repr of the settings nor an error shows a password."""
    hub = load_hub(write(tmp_path, "kafka: {sasl_password: geheim}\n"), {})
    wrong = problems(write(tmp_path, "kafka: {sasl_password: 31337}\n"))

    assert hub.kafka.sasl_password is not None
    assert hub.kafka.sasl_password.get_secret_value() == "geheim"
    assert "geheim" not in repr(hub)
    assert "31337" not in wrong[0]


def test_the_settings_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    """A container gets its file by SAMENLOOP_CONFIG."""
    path = write(tmp_path, "kafka: {prefix: named.}\n")

    assert load_hub(None, {"SAMENLOOP_CONFIG": str(path)}).kafka.prefix == "named."
