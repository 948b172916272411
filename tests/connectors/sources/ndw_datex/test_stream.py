"""What is a whole publication and what is not: nothing is half read, nothing is fetched, nothing grows."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sources.ndw_datex.stream import read_situations
from samenloop.errors import Held, Reject
from samenloop.snapshots import Memory, Speaker, apply, diff
from samenloop.source import Guards, Snapshot

Read = Callable[..., Snapshot]
BOMB = (
    '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


def code(read: Read, body: bytes, **keys: Any) -> str:
    with pytest.raises(Reject) as found:
        read(body, **keys)
    return found.value.code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "envelope.empty"),
        (b" \n", "envelope.empty"),
        (gzip.compress(b"", mtime=0), "envelope.empty"),
        (b"<!DOCTYPE html><html><body>502</body></html>", "envelope.unexpected"),
        (b"<html><body>login</body></html>", "envelope.unexpected"),
        (b'{"error": "too many requests"}', "envelope.unexpected"),
        (b"PK\x03\x04rest", "envelope.unexpected"),
        (b'<?xml version="1.0"?><rss><channel/></rss>', "envelope.unexpected"),
        (b"<!-- SituationPublication -->", "envelope.empty"),
        (b'<a b="SituationPublication"/>', "envelope.unexpected"),
        (b'<?xml version="1.0" encoding="UTF-7"?><SituationPublication/>', "envelope.encoding"),
    ],
)
def test_what_is_no_publication_is_refused(read: Read, body: bytes, expected: str) -> None:
    """An error page, JSON, another XML, nothing at all: told apart, and none of it looks like an empty feed."""
    assert code(read, body) == expected


def test_another_publication_is_refused(read: Read, datex: Any) -> None:
    """Message signs and measured data are DATEX II as well."""
    body = datex.publication(kind="VmsPublication", extra="<!-- SituationPublication -->")

    assert code(read, body) == "envelope.unexpected"


def test_an_update_is_not_a_snapshot(read: Read, datex: Any) -> None:
    """What an update leaves out is not gone; a profile may say that the document is whole all the same."""
    extra = "<e:exchange xmlns:e='e'><e:updateMethod>singleElementUpdate</e:updateMethod></e:exchange>"
    body = datex.publication(datex.situation("a", datex.works()), extra=extra)

    assert code(read, body) == "envelope.incomplete"
    assert len(read(body, take_updates=True).records) == 1


def test_an_empty_publication_is_whole(read: Read, datex: Any) -> None:
    """Whether it can be true is the differ's question."""
    assert read(datex.publication()).records == []


@pytest.mark.parametrize("where", ["text", "attribute"])
def test_entity_bombs_are_refused_before_they_are_parsed(read: Read, datex: Any, where: str) -> None:
    """A document type declaration is refused, so that no entity can grow."""
    body = datex.publication(datex.situation("&j;" if where == "attribute" else "a", datex.works(cause="x")))
    body = body.replace(b"?><m:", f"?>{BOMB}<m:".encode()).replace(b">x<", b">&j;<")

    with pytest.raises(Reject, match="document type declaration") as found:
        read(body)
    assert found.value.code == "envelope.unexpected"


def test_nothing_outside_the_document_is_read(read: Read, datex: Any, tmp_path: Path) -> None:
    """Neither a file nor an address that an entity names."""
    secret = tmp_path / "secret"
    secret.write_text("do-not-read")
    body = datex.publication(datex.situation("a", datex.works(cause="x"))).replace(b">x<", b">&e;<")
    declared = f'?><!-- {"x" * 70_000} --><!DOCTYPE m [<!ENTITY e SYSTEM "{secret.as_uri()}">]><m:'

    assert code(read, body.replace(b"?><m:", declared.encode())) == "envelope.unexpected"
    assert code(read, body) == "envelope.unparseable"  # an entity that nobody declared


def test_a_publication_may_be_packed_and_encoded_in_many_ways(read: Read, datex: Any) -> None:
    """gzip, gzip in gzip, several members, UTF-16, a byte order mark, Latin-1, a SOAP envelope."""
    body = datex.publication(datex.situation("a", datex.works(cause="Brücke")))
    half = len(body) // 2
    soap = b'<soap:Envelope xmlns:soap="s"><soap:Body>' + body.partition(b"?>")[2] + b"</soap:Body></soap:Envelope>"
    ways = [
        gzip.compress(body),
        gzip.compress(gzip.compress(body)),
        gzip.compress(body[:half]) + gzip.compress(body[half:]) + b"\0" * 512,
        body.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        b"\xef\xbb\xbf" + body,
        body.decode().replace("UTF-8", "ISO-8859-1").encode("latin-1"),
        soap,
    ]

    assert [read(way).records[0].plan.title for way in ways] == ["Brücke"] * len(ways)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), packed=st.booleans())
def test_a_cut_feed_never_removes_anything(read: Read, datex: Any, data: st.DataObject, packed: bool) -> None:
    """However much of a publication is missing at its end: it is refused as a whole."""
    body = datex.publication(*(datex.situation(f"n{n}", datex.works(), datex.measure()) for n in range(3)))
    body = gzip.compress(body, mtime=0) if packed else body
    cut = data.draw(st.integers(0, len(body) - 1))

    assert code(read, body[:cut]).startswith("envelope.")


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_damaged_gzip_is_refused_or_whole(read: Read, datex: Any, data: st.DataObject) -> None:
    """One wrong byte: refused, or one of those that do not matter (time, name, system of the packer)."""
    plain = datex.publication(*(datex.situation(f"n{n}", datex.works()) for n in range(3)))
    body = bytearray(gzip.compress(plain, mtime=0))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        found = read(bytes(body))
    except Reject as error:
        assert error.code.startswith("envelope.")
    else:
        assert len(found.records) == 3


def test_a_publication_that_is_too_large_is_not_read_to_its_end(read: Read, datex: Any) -> None:
    """`max_megabytes` counts what is unpacked."""
    body = datex.publication(datex.situation("a", datex.works(datex.comment(" " * 1_100_000))))

    assert code(read, gzip.compress(body), max_megabytes=1) == "envelope.oversize"


def test_a_situation_keeps_its_bytes(datex: Any) -> None:
    """Also between comments that look like situations, with spaces in its tags, and where it is empty."""
    first, second = (
        datex.situation("a", datex.works()),
        datex.situation("b").replace("</s:situation>", "</s:situation >"),
    )
    empty = '<s:situation id="c"/>'
    body = datex.publication(first, "<!-- between -->", second, empty, first.replace('"a"', '"d"'))

    found = [one.original.decode() for one in read_situations(body, max_bytes=10**6)]

    assert found == [first, second, empty, first.replace('"a"', '"d"')]


def test_a_situation_that_cannot_be_told_apart_is_written_anew(datex: Any) -> None:
    """A comment that ends a situation: the bytes are those of the element, and still name it."""
    situations = [datex.situation(name, "<!-- </s:situation> -->", datex.works()) for name in "ab"]

    found = [one.original for one in read_situations(datex.publication(*situations), max_bytes=10**6)]

    assert [b'id="a"' in found[0], b'id="b"' in found[1]] == [True, True]


def test_every_record_is_accounted_for(read: Read, datex: Any) -> None:
    """read = created + updated + removed + unchanged + rejected; measures alone are none of them."""
    speaker = Speaker("feed", "urn:nld:oin:00000099000000009001:systeem:roadworks", "00000099000000009001")
    old = read(datex.publication(*(datex.situation(f"n{n}", datex.works()) for n in range(4))))
    first = diff(Memory(), old, speaker=speaker, guards=Guards(), now=old.taken_at)
    new = read(
        datex.publication(
            datex.situation("n0", datex.works()),
            datex.situation("n1", datex.works(cause="Anders")),
            datex.situation("n2", datex.measure()),
            datex.situation("n3", datex.works(start="soon")),
            datex.situation("n4", datex.works()),
        ),
        day="2027-01-05",
    )
    second = diff(apply(Memory(), first.effects), new, speaker=speaker, guards=Guards(), now=new.taken_at)

    assert (first.counts.read, first.counts.created) == (4, 4)
    assert (second.counts.created, second.counts.updated, second.counts.unchanged, second.counts.rejected) == (
        1,
        1,
        1,
        1,
    )
    assert second.counts.removed == 0
    assert (new.measures, new.measures_only) == (1, 1)
    assert second.step.removed == 1, "n2 has lost its works: absent, and removed only after the grace"


def test_a_publication_that_lost_its_works_is_held(read: Read, datex: Any) -> None:
    """A feed of measures alone, or of none, is complete and cannot be true."""
    speaker = Speaker("feed", "urn:nld:oin:00000099000000009001:systeem:roadworks", "00000099000000009001")
    old = read(datex.publication(datex.situation("a", datex.works())))
    known = apply(Memory(), diff(Memory(), old, speaker=speaker, guards=Guards(), now=old.taken_at).effects)

    for body in (datex.publication(), datex.publication(datex.situation("a", datex.measure()))):
        with pytest.raises(Held, match=r"snapshot\.empty"):
            diff(known, read(body), speaker=speaker, guards=Guards(), now=old.taken_at)
