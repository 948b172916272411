"""From bytes to situations, one after the other, in little memory. Nothing outside the document is ever fetched.

A DATEX II document has no document type declaration; one that has is refused before it is parsed, so that entities
can neither grow nor reach for files. What is not a whole publication of situations is refused, never half read.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from samenloop.bodies import unpacked
from samenloop.errors import Reject

TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
UPDATES = ("allElementUpdate", "singleElementUpdate", "deltaPull", "deltaPush")
"""How a document says that it holds changes only: `updateMethod` (v2), `codedExchangeProtocol` (v3)."""
LARGEST_SITUATION = 16_000_000
_PUBLICATIONS = ("payload", "payloadPublication", "situationPublication", "SituationPublication")
_TAGS = [f"{{*}}{name}" for name in ("situation", *_PUBLICATIONS, "updateMethod", "codedExchangeProtocol")]
_HEAD = 1 << 16
_ENCODINGS = re.compile(rb"utf-?8|us-ascii|ascii|iso-?8859-\d{1,2}|latin-?\d|windows-125\d|cp125\d", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']*)[\"']")
_MARKUP = re.compile(rb"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_ROOT = re.compile(rb"<((?:[^\s<>/:!?]+:)?([^\s<>/:!?]+))")
_START = re.compile(rb"<(?:[^\s<>/:]+:)?situation(?=[\s/>])")
_END = re.compile(rb"</(?:[^\s<>/:]+:)?situation\s*>|<(?:[^\s<>/:]+:)?situation(?:\s[^<>]*)?/>")
_BEFORE_END = re.compile(rb"</(?:[^\s<>/:]+:)?\Z")
_TIME = re.compile(rb"<(?:[^\s<>/:]+:)?publicationTime(?:\s[^<>]*)?>\s*([^<]{10,40}?)\s*<")


@dataclass(frozen=True, slots=True)
class Found:
    """One situation: its place from 1, its element (valid until the next is asked for), its bytes as they came."""

    position: int
    element: etree._Element
    original: bytes


def read_situations(body: bytes, *, max_bytes: int, take_updates: bool = False) -> Iterator[Found]:
    """Yield the situations of a publication while it is read; *body* may be gzip.

    Raises Reject: `envelope.empty`, `envelope.truncated`, `envelope.oversize`, `envelope.encoding`,
    `envelope.unparseable`, `envelope.unexpected`, `envelope.incomplete`; also after the first situations, so nothing
    may be concluded before the end.
    """
    tap = _Tap(body, max_bytes)
    tap.begin()
    parser = etree.iterparse(
        tap,
        events=("start", "end"),
        tag=_TAGS,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,
        collect_ids=False,
        remove_comments=True,
        remove_pis=True,
        encoding=tap.encoding,
    )
    try:
        yield from _situations(parser, tap, take_updates)
    except etree.XMLSyntaxError as error:
        raise _unreadable(error, tap) from None


def publication_time(body: bytes) -> str | None:
    """Return the text of the first `publicationTime` of a document, without reading far into it."""
    head = b""
    try:
        for part in unpacked(body):
            head += part
            if found := _TIME.search(head):
                return found[1].decode("ascii", "replace")
            if len(head) > _HEAD:
                break
    except (EOFError, zlib.error):
        pass
    return None


def local(tag: object) -> str:
    """Return the name of an element without its namespace; "" for what is no element."""
    return _bare(tag) if isinstance(tag, str) else ""


@lru_cache(maxsize=4096)
def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def type_of(element: etree._Element) -> str:
    """Return the `xsi:type` of an element without its prefix, else the element's own name."""
    return str(element.get(TYPE, "")).rpartition(":")[2] or local(element.tag)


def _situations(parser: etree.iterparse[tuple[str, etree._Element]], tap: _Tap, take_updates: bool) -> Iterator[Found]:
    published, position = False, 0
    for event, element in parser:
        name = local(element.tag)
        if event == "start":
            if name in _PUBLICATIONS:
                _check_publication(element)
                published = True
            elif name == "situation" and not published:
                raise Reject("envelope.unexpected", "found a situation outside a SituationPublication")
        elif name == "situation":
            position += 1
            yield Found(position, element, _own(tap.cut(empty=not len(element)), element))
            _forget(element)
        elif name in ("updateMethod", "codedExchangeProtocol") and not take_updates:
            _check_method((element.text or "").strip())
    if not published:
        raise Reject("envelope.unexpected", "found no SituationPublication")


def _own(piece: bytes, element: etree._Element) -> bytes:
    """Return the bytes of a situation as they came; where they were not found, the element written anew."""
    name = element.get("id", "").encode()
    return piece if piece and name in piece[:2000] else etree.tostring(element, with_tail=False)


def _check_publication(element: etree._Element) -> None:
    kind = type_of(element)
    if kind not in ("SituationPublication", "situationPublication"):
        found = kind if kind.endswith("Publication") and len(kind) < 60 else "another payload"
        raise Reject("envelope.unexpected", f"found {found}, expected a SituationPublication")


def _check_method(method: str) -> None:
    if method in UPDATES:
        raise Reject(
            "envelope.incomplete", f"the document is an update ({method}), expected a snapshot (`take_updates`)"
        )


def _forget(element: etree._Element) -> None:
    """Free a situation and everything before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _unreadable(error: etree.XMLSyntaxError, tap: _Tap) -> Reject:
    line, column = error.position
    early = error.code == etree.ErrorTypes.ERR_TAG_NOT_FINISHED or (tap.ended and not tap.tail.endswith(b">"))
    if early:
        return Reject("envelope.truncated", f"the XML ends early at line {line}, column {column}")
    return Reject("envelope.unparseable", f"the XML is malformed at line {line}, column {column}")


class _Tap:
    """What the parser reads from: it looks at the head first, counts, and keeps the bytes of the open situation."""

    def __init__(self, body: bytes, max_bytes: int) -> None:
        self._parts = unpacked(body)
        self._max_bytes, self._size = max_bytes, 0
        self._window, self._at = bytearray(), 0
        self._first = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self.encoding: str | None = None
        self.ended = False
        self.tail = b""

    def begin(self) -> None:
        """Look at the beginning of the document. Raises Reject(`envelope.…`)."""
        while len(self._first) < _HEAD and (part := self._next()):
            self._first += part
        _check_head(self._first)

    def read(self, _size: int = -1) -> bytes:
        """Return the next bytes for the parser."""
        part, self._first = (self._first, b"") if self._first else (self._next(), b"")
        del self._window[: self._at]
        self._at = 0
        self._window += part
        if len(self._window) > LARGEST_SITUATION:
            raise Reject("envelope.oversize", f"found a part larger than {LARGEST_SITUATION} bytes without a situation")
        self.ended = not part
        self.tail = part.rstrip()[-1:] or self.tail
        return part

    def cut(self, *, empty: bool) -> bytes:
        """Return the bytes of the situation that the parser has just ended; nothing where they cannot be told apart.

        An *empty* one may have no end tag of its own.
        """
        end = -1 if empty else self._end()
        odd = end >= 0 and self._window.count(b"situation ", self._at, end) > 1
        if end < 0 or odd:
            found = _END.search(self._window, self._at)
            if found is None:
                return b""
            end = found.end()
        piece = bytes(self._window[self._at : end])
        self._at = end
        start = _START.search(piece)
        return piece[start.start() :] if start else b""

    def _end(self) -> int:
        """Return where the next plainly written end tag ends: much faster to find than any other."""
        at = self._at
        while (found := self._window.find(b"situation>", at)) >= 0:
            at = found + len(b"situation>")
            if _BEFORE_END.search(self._window, max(0, found - 80), found):
                return at
        return -1

    def _next(self) -> bytes:
        try:
            part = next(self._parts, b"")
        except (EOFError, zlib.error):
            raise Reject("envelope.truncated", "the gzip file is damaged or ends early") from None
        self._size += len(part)
        if self._size > self._max_bytes:
            raise Reject("envelope.oversize", f"unpacks to more than {self._max_bytes} bytes (`max_megabytes`)")
        if self._size == len(part) and part.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._decoder, self.encoding = codecs.getincrementaldecoder("utf-16")("strict"), "utf-8"
        if self._decoder is None or not part:
            return part
        try:
            return self._decoder.decode(part).encode() or self._next()
        except UnicodeDecodeError:
            raise Reject("envelope.encoding", "the text is not the UTF-16 that it begins as") from None


def _check_head(head: bytes) -> None:
    bare = _MARKUP.sub(b"", head.removeprefix(codecs.BOM_UTF8)).strip()
    if not bare:
        raise Reject("envelope.empty", "the file is empty")
    if re.match(rb"<(?:!doctype\s+html|html)\b", bare, re.IGNORECASE):
        raise Reject("envelope.unexpected", "found an HTML page, expected DATEX II XML")
    if not bare.startswith(b"<"):
        raise Reject("envelope.unexpected", "found something that is not XML, expected DATEX II XML, gzip or not")
    declared = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8))
    if declared and not _ENCODINGS.fullmatch(declared[1]) and not declared[1].lower().startswith(b"utf-16"):
        raise Reject("envelope.encoding", "the declared encoding is not UTF-8, UTF-16, ISO 8859 or windows-125x")
    if b"<!doctype" in head.lower() or b"<!entity" in head.lower():
        raise Reject(
            "envelope.unexpected", "found a document type declaration, which DATEX II has not: entities refused"
        )
    root = _ROOT.match(bare)
    if root is None or b"ituationPublication" not in head:
        name = f"<{root[2].decode('utf-8', 'replace')[:40]}>" if root else "no element"
        raise Reject("envelope.unexpected", f"found {name} and no SituationPublication, expected DATEX II XML")
