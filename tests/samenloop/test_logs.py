"""Logs: one JSON line per event, and never a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from samenloop import logs
from samenloop.settings import Hub, Kafka, Registry, in_force


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure("INFO", "json", process="test")
    yield
    root.handlers, root.level = handlers, level
    logs.configure("INFO", "json")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_time_level_event_and_a_constant_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Machines find a line by its event; what varies stands in fields."""
    logs.get_logger("source").warning("source.poll_failed", "The poll failed.", source="aalburg", code=None)

    (line,) = lines(capsys)
    assert list(line)[:4] == ["at", "level", "event", "message"]
    assert line["at"].endswith("Z")
    assert (line["level"], line["event"], line["message"]) == ("WARNING", "source.poll_failed", "The poll failed.")
    assert (line["component"], line["process"], line["source"]) == ("source", "test", "aalburg")
    assert "code" not in line


def test_levels_below_the_setting_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """DEBUG is for the developer who asks for it."""
    logs.get_logger("a").debug("a.b", "Quiet.")

    assert lines(capsys) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"master_key": "geheim"},
        {"sasl_password": "geheim"},
        {"headers": {"Authorization": "geheim"}},
        {"detail": "signed with whsec_geheim=="},
        {"url": "https://user:geheim@partner.example/hook"},
        {"url": "https://partner.example/hook?token=geheim"},
        {"items": ["Bearer geheim"]},
        {"value": SecretStr("geheim")},
    ],
)
def test_secrets_are_masked(fields: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is called a secret or looks like one never leaves the process."""
    logs.get_logger("a").error("a.b", "Something is wrong.", **fields)

    written = capsys.readouterr().err
    assert "geheim" not in written
    assert "***" in written


def test_a_trace_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """A stack names files and lines; what a variable held stays in the process."""

    def fails() -> None:
        password = "geheim"
        raise RuntimeError(f"no {len(password)}")

    try:
        fails()
    except RuntimeError:
        logs.get_logger("a").error("a.b", "It failed.", exc_info=True)

    (line,) = lines(capsys)
    assert line["exception"][0]["exc_type"] == "RuntimeError"
    assert "geheim" not in json.dumps(line)


def test_libraries_are_routed_in(capsys: pytest.CaptureFixture[str]) -> None:
    """What librdkafka or an HTTP client logs has our form as well."""
    logging.getLogger("librdkafka").error("broker %s is down", "one")
    logging.getLogger("httpx").info("GET https://partner.example/?token=geheim")

    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["detail"]) == ("librdkafka.said", "WARNING", "broker one is down")


def test_libraries_do_not_flood(capsys: pytest.CaptureFixture[str]) -> None:
    """librdkafka says the same a hundred times a second while a broker is away; once in ten seconds is enough."""
    for _ in range(100):
        logging.getLogger("librdkafka").error("broker is down")
    logging.getLogger("librdkafka").error("another broker is down")

    assert [line["detail"] for line in lines(capsys)] == ["broker is down", "another broker is down"]


def test_a_terminal_gets_text(capsys: pytest.CaptureFixture[str]) -> None:
    """People read time, level and sentence first."""
    logs.configure("INFO", "text")

    logs.get_logger("a").info("a.b", "It works.", count=3)

    assert "INFO    It works. [a.b] component=a count=3" in capsys.readouterr().err


def test_settings_are_told_without_their_secrets() -> None:
    """What a process says of its settings at the start holds no password, in a field of its own or in an address."""
    hub = Hub(
        kafka=Kafka(sasl_username="detect", sasl_password=SecretStr("hush")),
        registry=Registry(url="https://me:hush@registry.example/apis"),
    )

    told = logs.mask(None, "", {"settings": in_force(hub)})

    assert told["settings"]["kafka"]["sasl_username"] == "detect"
    assert "hush" not in str(told)


def test_fields_with_one_meaning_stand_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A trace and what an event is about come before what else is said of it."""
    logs.configure("INFO", "json")
    logs.get_logger("source").info("a.b", "It.", zeal=1, code="c", trace_id="t")

    assert list(json.loads(capsys.readouterr().err))[:6] == ["at", "level", "event", "message", "trace_id", "code"]
