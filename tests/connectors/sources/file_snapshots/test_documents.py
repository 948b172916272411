"""From bytes to rows: generous in form, strict in what counts as a whole export."""

import gzip
import io
import json
import zipfile
from typing import Any

import pytest

from connectors.sources.file_snapshots.documents import CsvProfile, Reading, read_document
from connectors.sources.file_snapshots.envelopes import Expectation, check_envelope
from samenloop.errors import Held, Reject

FEATURE = '{"type": "Feature", "geometry": null, "properties": {"nr": 1, "naam": "Één"}}'
COLLECTION = f'{{"type": "FeatureCollection", "features": [{FEATURE}]}}'


def zipped(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def rows(body: bytes, **reading: Any) -> list[dict[str, Any]]:
    return [dict(row.properties) for row in read_document(body, Reading(**reading)).rows]


@pytest.mark.parametrize(
    "body",
    [
        COLLECTION.encode(),
        gzip.compress(COLLECTION.encode()),
        gzip.compress(COLLECTION.encode()[:20]) + gzip.compress(COLLECTION.encode()[20:]),
        COLLECTION.encode("utf-8-sig"),
        COLLECTION.encode("utf-16"),
        COLLECTION.encode("cp1252"),
        f"[{FEATURE}]".encode(),
        f"\r\n\t {COLLECTION}\r\n".encode(),
        FEATURE.encode(),
        f"\x1e{FEATURE}\n".encode(),
        b'[{"nr": 1, "naam": "\xc3\x89\xc3\xa9n"}]',
        zipped({"works.geojson": COLLECTION, "LICENCE.md": "free", "__MACOSX/._works.geojson": "x"}),
    ],
)
def test_geojson_in_all_its_dresses(body: bytes) -> None:
    """Compressed or not, in parts, with a byte order mark, in another encoding, as a bare list."""
    assert rows(body) == [{"nr": 1, "naam": "Één"}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "envelope.empty"),
        (b"  \r\n", "envelope.empty"),
        (gzip.compress(b"", mtime=0), "envelope.empty"),
        (b"<html><body>Bad Gateway</body></html>", "envelope.unexpected"),
        (b"<?xml version='1.0'?><wfs:FeatureCollection/>", "envelope.unexpected"),
        (b"var x = " + COLLECTION.encode(), "envelope.unexpected"),
        (b"callback(" + COLLECTION.encode() + b")", "envelope.unexpected"),
        (b"PK\x03\x04" + b"rest", "envelope.truncated"),
        (zipped({"a.csv": "nr\n1\n", "b.csv": "nr\n2\n"}), "envelope.unexpected"),
        (zipped({"works.shp": "shape"}), "envelope.unexpected"),
        (f"{FEATURE}\n{FEATURE[:-9]}".encode(), "envelope.truncated"),
        (COLLECTION.encode() + b"\n{}", "envelope.unparseable"),
        (json.dumps(json.loads(COLLECTION), indent=1).encode() + b"\noops", "envelope.unparseable"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "envelope.unexpected"),
        (COLLECTION.encode()[:-10], "envelope.truncated"),
        (b'{"type": "FeatureCollection", "features": [{"naam": "half', "envelope.truncated"),
        (gzip.compress(COLLECTION.encode() * 50, mtime=0)[:-12], "envelope.truncated"),
        (b'{"type": "FeatureCollection" "features": []}', "envelope.unparseable"),
        (b'{"error": {"code": 499, "message": "Token Required"}}', "envelope.unexpected"),
        (b'"text"', "envelope.unexpected"),
        (b'{"geometryType": "esriGeometryPoint", "features": [{"attributes": {}}]}', "envelope.unexpected"),
        (b"[" * 100_000, "envelope.unparseable"),
    ],
)
def test_what_is_not_a_whole_export_is_refused(body: bytes, code: str) -> None:
    """Each with a code of its own, and never as an empty export."""
    with pytest.raises(Reject) as found:
        check_envelope(Expectation(), read_document(body, Reading()), ("nr",))
    assert found.value.code in (code, "envelope.truncated" if body[:2] == b"[[" else code)


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_as_spreadsheets_write_it(delimiter: str, encoding: str) -> None:
    """The delimiter is found in the header; a cell may hold it, and line ends, in quotes."""
    text = f'nr{delimiter}naam\r\n1{delimiter}"Één{delimiter}\r\ntwee ""drie"""\r\n\r\n2{delimiter}\r\n'

    assert rows(text.encode(encoding)) == [
        {"nr": "1", "naam": f'Één{delimiter}\r\ntwee "drie"'},
        {"nr": "2", "naam": ""},
    ]


def test_csv_without_header_and_with_lines_above() -> None:
    """The profile names what the file does not."""
    body = b"Werken\nstand 4 januari\n1;Een\n"

    assert rows(body, csv=CsvProfile(skip_lines=2, columns=("nr", "naam"), delimiter=";")) == [
        {"nr": "1", "naam": "Een"}
    ]
    assert rows(b"sep=;\nnr;naam\n1;Een, twee\n") == [{"nr": "1", "naam": "Een, twee"}]
    assert rows(b"nr;naam;naam\n1;a;b\n") == [{"nr": "1", "naam": "a", "naam_2": "b"}]


@pytest.mark.parametrize("body", [b"nr;naam\n1;Een\n2", b'nr;naam\n1;"Een'])
def test_a_csv_that_is_cut_off_is_refused(body: bytes) -> None:
    """The last line lacks cells, or the file ends inside quotes."""
    with pytest.raises(Reject, match=r"envelope.truncated"):
        read_document(body, Reading())


def test_a_line_of_another_width_is_one_bad_record() -> None:
    """The rest goes on; empty cells at the end do not count."""
    document = read_document(b"nr;naam\n1;Een;;\n2;Twee;meer\n3;Drie\n", Reading())

    assert [(position, error.code) for position, error in document.broken.items()] == [(2, "row.width")]
    assert document.original(2) == b"2;Twee;meer\n"


def test_the_original_bytes_of_a_feature_are_kept() -> None:
    """As they stood in the file, also where the same list opens with another bracket before."""
    text = f'{{"bbox": [1, 2], "features": [\n {FEATURE} ,\n{{"type":"Feature","properties":{{}}}}]}}'
    document = read_document(text.encode(), Reading())

    assert document.original(1) == FEATURE.encode()
    assert document.original(2) == b'{"type":"Feature","properties":{}}'


@pytest.mark.parametrize("mark", ["", "\x1e"])
def test_a_feature_a_line(mark: str) -> None:
    """Each line stands for itself: one that cannot be read is one bad record, with its bytes."""
    found = read_document(f"{mark}{FEATURE}\r\n{mark}oops\n\n{mark}{FEATURE}\n".encode(), Reading())

    assert [dict(row.properties) for row in found.rows] == [{"nr": 1, "naam": "Één"}, {}, {"nr": 1, "naam": "Één"}]
    assert {position: problem.code for position, problem in found.broken.items()} == {2: "record.unexpected"}
    assert (found.original(2), found.original(3)) == (b"oops", FEATURE.encode())


def test_what_unpacks_to_too_much_is_not_unpacked() -> None:
    """An archive is read up to the limit only."""
    with pytest.raises(Reject) as found:
        read_document(zipped({"a.csv": "nr\n" + "1\n" * 10_000}), Reading(max_bytes=1000))
    assert found.value.code == "envelope.oversize"


def test_rows_elsewhere_in_the_document() -> None:
    """`records` names the list; its items may be plain objects."""
    body = json.dumps({"data": {"items": [{"nr": 1}]}, "total": 1}).encode()

    assert rows(body, records="data.items") == [{"nr": 1}]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"type": "Topology"}, "envelope.unexpected"),
        ({"count": 7}, "envelope.incomplete"),
        ({"numberReturned": 0}, "envelope.incomplete"),
        ({"numberMatched": 100}, "envelope.incomplete"),
        ({"exceededTransferLimit": True}, "envelope.incomplete"),
        ({"sample": True}, "snapshot.placeholder"),
    ],
)
def test_what_the_file_says_of_itself_must_be_true(members: dict[str, Any], code: str) -> None:
    """Counts that differ, one page of several, a sample."""
    body = json.dumps({"type": "FeatureCollection", "features": [json.loads(FEATURE)], **members}).encode()

    with pytest.raises((Reject, Held)) as found:
        check_envelope(Expectation(), read_document(body, Reading()), ("nr",))
    assert found.value.code == code


def test_a_profile_can_expect_more() -> None:
    """Members, columns, a smallest number of rows."""
    collection, table = read_document(COLLECTION.encode(), Reading()), read_document(b"nr;naam\n1;Een\n", Reading())

    with pytest.raises(Reject, match=r"envelope.incomplete"):
        check_envelope(Expectation(min_records=2), collection, ("nr",))
    with pytest.raises(Reject, match="'name'"):
        check_envelope(Expectation(members={"name": "Works"}), collection, ("nr",))
    with pytest.raises(Reject, match="none is straat"):
        check_envelope(Expectation(columns=("straat",)), table, ("nr",))
    with pytest.raises(Reject, match="none is zaaknummer"):
        check_envelope(Expectation(), table, ("zaaknummer",))
