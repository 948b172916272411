"""A backup is whole, or it is refused with what is wrong; nobody is asked for that."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop.backup.containers import read_records, write_records
from samenloop.backup.manifest import (
    FORMAT,
    MANIFEST,
    REGISTRY,
    SUMS,
    Manifest,
    Part,
    Position,
    SchemaId,
    read_backup,
    write_manifest,
)
from samenloop.cli.tree import run
from samenloop.errors import BadSettings
from samenloop.stage import Record

PART = "topics/partners/0.avro"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of one topic with two records."""
    (tmp_path / "topics/partners").mkdir(parents=True)
    write_records(tmp_path / PART, [Record("partners", 0, n, str(n), b"x", (("a", b"b"),), n) for n in (3, 4)])
    (tmp_path / REGISTRY).write_bytes(b"zip")
    write_manifest(tmp_path, made())
    return tmp_path


def made(form: int = FORMAT) -> Manifest:
    return Manifest(
        form,
        "hub.",
        datetime(2027, 1, 4, tzinfo=UTC),
        {"partners": [Part(PART, 2, 6, [7])]},
        {"notify": {"partners": [Position(4, 1)]}},
        [SchemaId("hub.partners.v1-samenloop.v1.Partner", 1, 7)],
    )


def test_what_was_written_is_read(backup: Path) -> None:
    """A whole backup is read as it was made."""
    assert read_backup(backup) == made()


def unfinished(folder: Path) -> None:
    (folder / SUMS).unlink()


def flip(folder: Path) -> None:
    content = bytearray((folder / PART).read_bytes())
    content[-20] ^= 1
    (folder / PART).write_bytes(bytes(content))


def cut_off(folder: Path) -> None:
    (folder / PART).write_bytes((folder / PART).read_bytes()[:-5])


def lose(folder: Path) -> None:
    (folder / REGISTRY).unlink()


def other_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text(
        (folder / MANIFEST).read_text().replace('"records_before": 1', '"records_before": 2')
    )


def newer(folder: Path) -> None:
    write_manifest(folder, made(FORMAT + 1))


def elsewhere(folder: Path) -> None:
    (folder / SUMS).write_text((folder / SUMS).read_text().replace(PART, "../" + PART))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (unfinished, "is an unfinished backup"),
        (flip, f"{PART}: is damaged"),
        (cut_off, f"{PART}: is damaged"),
        (lose, f"{REGISTRY}: is missing"),
        (other_manifest, f"{MANIFEST}: is damaged"),
        (newer, f"found format {FORMAT + 1}, expected {FORMAT}"),
        (elsewhere, "outside the backup"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused(backup: Path, damage: Callable[[Path], None], words: str) -> None:
    """Each damage is named with its file, before anybody is asked for anything."""
    damage(backup)

    with pytest.raises(BadSettings, match=words.replace("+", r"\+")):
        read_backup(backup)


def test_a_folder_that_never_was_a_backup(tmp_path: Path) -> None:
    """It is said so, instead of that something is missing from it."""
    with pytest.raises(BadSettings, match="is no backup"):
        read_backup(tmp_path)


def test_restore_checks_without_kafka(backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`restore --check` tells whether a backup is whole, on a machine without a hub."""
    whole = run(["restore", str(backup), "--check"])
    flip(backup)
    broken = run(["restore", str(backup), "--check"])

    assert (whole, broken) == (0, 2)
    assert "is whole: 2 records" in capsys.readouterr().out


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=9),
            st.none() | st.binary(max_size=9),
            st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3),
        ),
        max_size=8,
    )
)
def test_records_are_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]]
) -> None:
    """Key, value, headers and time survive: a tombstone is not an empty value, and keys need not be text."""
    path = tmp_path_factory.mktemp("records") / "0.avro"
    records = [
        Record("t", 2, at, key.decode("utf-8", "surrogateescape"), value, tuple(headers), at * 1000)
        for at, (key, value, headers) in enumerate(said)
    ]

    write_records(path, records)

    assert list(read_records(path, "t", 2)) == records
