"""The bare command: help at once, clear words for a wrong one."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from samenloop.cli import COMMANDS, GROUPS, main, unknown
from samenloop.cli.tree import build, run

HEAVY = (
    "pydantic",
    "confluent_kafka",
    "httpx",
    "shapely",
    "numpy",
    "structlog",
    "fastavro",
    "prometheus_client",
    "rich",
)


def samenloop(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samenloop.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def used() -> float:
    """Return the seconds of the processor that ended children have used."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_help_is_immediate() -> None:
    """`samenloop --help` takes less than 0.3 s of the processor; the best of three, for the machine may be busy."""
    times = []
    for _ in range(3):
        began = used()
        done = samenloop("--help")
        times.append(used() - began)

    assert done.returncode == 0
    assert all(command.words in done.stdout for command in COMMANDS)
    assert min(times) < 0.3


@pytest.mark.parametrize("argument", ["--help", "version"])
def test_what_need_not_be_imported_is_not(argument: str) -> None:
    """Help and version load nothing that reads settings, draws maps or talks to Kafka."""
    command = [sys.executable, "-X", "importtime", "-m", "samenloop.cli", argument]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & set(HEAVY)


def test_no_words_are_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Who types only the name is shown what there is."""
    with pytest.raises(SystemExit) as left:
        main([])

    assert left.value.code == 0
    assert "Usage: samenloop COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["verison"], "There is no command `verison`. Did you mean `version`?"),
        (["source", "lst"], "There is no command `source lst`. Did you mean `source list`?"),
        (["dead-leters"], "There is no command `dead-leters`. Did you mean `dead-letters`?"),
        (["qqqq"], "There is no command `qqqq`."),
    ],
)
def test_an_unknown_command_is_2_and_names_the_nearest(given: list[str], words: str) -> None:
    """A typing error is told in a sentence on stderr, with exit code 2."""
    done = samenloop(*given)

    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == words
    assert done.stdout == ""


def test_known_words_are_known() -> None:
    """Every command and every group of commands is found."""
    assert [command.words for command in COMMANDS if unknown(command.words.split())] == []
    assert [group for group in GROUPS if unknown([group])] == []


@pytest.mark.parametrize("arguments", [["version", "5"], ["version", "--colour"], ["completion", "tcsh"]])
def test_wrong_options_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An option or a word too many is refused in one line."""
    code = run(arguments)

    assert code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`samenloop version` and `--version` say the same."""
    with pytest.raises(SystemExit):
        main(["--version"])
    first = capsys.readouterr().out
    run(["version"])

    assert capsys.readouterr().out == first


@pytest.mark.parametrize("words", [command.words for command in COMMANDS])
def test_every_command_loads_and_has_help(words: str) -> None:
    """Every import string leads to a function, and every option of it has words."""
    command = build()
    for word in words.split():
        command = command[word]

    assert command.default_command is not None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script goes to stdout; nobody's startup files are touched."""
    code = run(["completion", shell])

    assert code == 0
    assert "samenloop" in capsys.readouterr().out
