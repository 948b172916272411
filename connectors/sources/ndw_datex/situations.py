"""What a situation says, in its own words: texts by their element's name, without judging any of them.

Names count without namespace, so that prefixes and the default namespace of version 2 make no difference. The works
(main records) are read; traffic measures and detours are named by their sort, and nothing else of them is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from connectors.sources.ndw_datex.locations import Place, read_places
from connectors.sources.ndw_datex.stream import local, type_of

WORKS = ("MaintenanceWorks", "ConstructionWorks", "PublicEvent")
"""Types of a main record: the works or the event itself."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment and what it is for (`commentType`)."""

    text: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A period as two texts, each an instant or nothing."""

    start: str | None = None
    end: str | None = None


@dataclass(slots=True)
class Works:
    """One main record: its type, the texts of its elements by name, and what has a structure of its own."""

    type: str
    version: str | None = None
    fields: dict[str, list[str]] = field(default_factory=dict)
    owner: str | None = None
    cause: str | None = None
    comments: list[Comment] = field(default_factory=list)
    overall: Span = Span()
    periods: list[Span] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def first(self, name: str) -> str | None:
        """Return the first text of an element, None where it says nothing."""
        return next(iter(self.fields.get(name, ())), None)


@dataclass(slots=True)
class Situation:
    """One situation: texts of its own, its works, and the sorts of its traffic measures and detours."""

    id: str | None
    version: str | None = None
    fields: dict[str, list[str]] = field(default_factory=dict)
    related: list[str] = field(default_factory=list)
    works: list[Works] = field(default_factory=list)
    measures: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)

    def first(self, name: str) -> str | None:
        """Return the first text of an element, None where it says nothing."""
        return next(iter(self.fields.get(name, ())), None)


def read_situation(element: etree._Element, language: str) -> Situation:
    """Return what *element* says; of texts in several languages those in *language*, else the first."""
    result = Situation(element.get("id", "").strip() or None, element.get("version"))
    for child in element:
        name = local(child.tag)
        if name == "situationRecord":
            kind = type_of(child)
            result.versions += [found] if (found := child.get("version")) else []
            if kind in WORKS:
                result.works.append(_works(child, kind, language))
            else:
                result.measures.append(kind)
        elif name == "relatedSituation":
            result.related += [found for one in child.iter() if (found := one.get("id"))]
        else:
            _leaves(child, result.fields)
    return result


def _works(record: etree._Element, kind: str, language: str) -> Works:
    works = Works(kind, record.get("version"))
    for child in record:
        handler = _HANDLERS.get(local(child.tag))
        if handler:
            handler(works, child, language)
        else:
            _leaves(child, works.fields)
    return works


def _leaves(element: etree._Element, fields: dict[str, list[str]]) -> None:
    """Add the texts of *element* and what is inside to *fields*."""
    for one in element.iter() if len(element) else (element,):
        if len(one) == 0 and (text := (one.text or "").strip()):
            fields.setdefault(local(one.tag), []).append(text)


def _owner(works: Works, element: etree._Element, language: str) -> None:
    for name in ("sourceName", "sourceIdentification"):
        found = next(_named(element, name), None)
        if found is not None and (text := words(found, language)):
            works.owner = works.owner or text


def _cause(works: Works, element: etree._Element, language: str) -> None:
    for one in _named(element, "causeDescription"):
        works.cause = works.cause or words(one, language)


def _comment(works: Works, element: etree._Element, language: str) -> None:
    kind = next(_named(element, "commentType"), None)
    for one in _named(element, "comment"):
        if text := words(one, language):
            works.comments.append(Comment(text, (kind.text or "").strip() if kind is not None else None))


def _validity(works: Works, element: etree._Element, _: str) -> None:
    for one in element:
        if local(one.tag) != "validityTimeSpecification":
            _leaves(one, works.fields)
            continue
        works.overall = _span(one, "overallStartTime", "overallEndTime")
        works.periods += [_span(p, "startOfPeriod", "endOfPeriod") for p in one if local(p.tag) == "validPeriod"]


def _location(works: Works, element: etree._Element, _: str) -> None:
    works.places += read_places(element)


def _link(works: Works, element: etree._Element, _: str) -> None:
    for one in _named(element, "urlLinkAddress"):
        works.fields.setdefault("urlLinkAddress", []).extend([text] if (text := (one.text or "").strip()) else [])


def _skip(works: Works, element: etree._Element, language: str) -> None:
    """Not for publication, or no part of the works."""


_HANDLERS: dict[str, Callable[[Works, etree._Element, str], None]] = {
    "source": _owner,
    "cause": _cause,
    "generalPublicComment": _comment,
    "nonGeneralPublicComment": _skip,
    "validity": _validity,
    "locationReference": _location,
    "groupOfLocations": _location,
    "urlLink": _link,
    "alternativeRoute": _skip,
}


def _span(element: etree._Element, start: str, end: str) -> Span:
    found = {local(one.tag): (one.text or "").strip() or None for one in element if len(one) == 0}
    return Span(found.get(start), found.get(end))


def _named(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (one for one in element.iter() if local(one.tag) == name)


def words(element: etree._Element, language: str) -> str | None:
    """Return a text that may be given in several languages: those in *language*, else those of the first."""
    values = [(one.get("lang"), (one.text or "").strip()) for one in element.iter() if len(one) == 0]
    values = [(lang, text) for lang, text in values if text]
    if not values:
        return None
    chosen = language if any(lang == language for lang, _ in values) else values[0][0]
    return " ".join(text for lang, text in values if lang == chosen)
