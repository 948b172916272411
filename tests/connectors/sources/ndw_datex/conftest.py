"""An invented publication, written element by element, and the source that reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from connectors.sources.ndw_datex import DatexSource, Profile
from samenloop.source import Context, Page, Snapshot, read_snapshot, snapshot_id, taken_at

OWN = {"system": "roadworks", "organisation": "Nationaal wegenbestand", "oin": "00000099000000009001"}
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
MOMENT = "2027-01-04T06:00:00.000000Z_0"
LINE = '<l:gmlLineString srsName="WGS 84"><l:posList>52.1 5.4 52.101 5.402</l:posList></l:gmlLineString>'


class Writer:
    """Writes publications of version 3 whose prefixes are not those of anybody."""

    def publication(self, *situations: str, kind: str = "SituationPublication", extra: str = "") -> bytes:
        """A whole document."""
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><m:messageContainer xmlns:m="http://datex2.eu/schema/3/messageContainer"'
            f' xmlns:s="http://datex2.eu/schema/3/situation" xmlns:c="http://datex2.eu/schema/3/common"'
            f' xmlns:l="http://datex2.eu/schema/3/locationReferencing" {XSI}>{extra}<m:payload xsi:type="s:{kind}">'
            f"<c:publicationTime>2027-01-04T06:00:00Z</c:publicationTime>{''.join(situations)}</m:payload>"
            f"</m:messageContainer>"
        ).encode()

    def situation(self, name: str | None, *records: str, real: str = "real", seen: str = "noRestriction") -> str:
        """A situation with its header."""
        header = f"<c:confidentiality>{seen}</c:confidentiality>" if seen else ""
        header += f"<c:informationStatus>{real}</c:informationStatus>" if real else ""
        identity = "" if name is None else f' id="{name}"'
        return (
            f"<s:situation{identity}><s:situationVersionTime>2027-01-03T10:00:00Z</s:situationVersionTime>"
            f"<s:headerInformation>{header}</s:headerInformation>{''.join(records)}</s:situation>"
        )

    def works(
        self,
        inside: str = "",
        *,
        kind: str = "MaintenanceWorks",
        start: str = "2027-03-01T06:00:00Z",
        end: str = "2027-03-12T15:00:00Z",
        owner: str = "Gemeente Havervoort",
        cause: str = "Riolering Lindelaan",
        where: str = LINE,
        version: str = "1",
    ) -> str:
        """A main record."""
        named = f"<s:source><c:sourceName>{self.text(owner)}</c:sourceName></s:source>" if owner else ""
        caused = f"<s:cause><s:causeDescription>{self.text(cause)}</s:causeDescription></s:cause>" if cause else ""
        first = f"<c:overallStartTime>{start}</c:overallStartTime>" if start else ""
        last = f"<c:overallEndTime>{end}</c:overallEndTime>" if end else ""
        placed = f"<s:locationReference>{where}</s:locationReference>" if where else ""
        return (
            f'<s:situationRecord xsi:type="s:{kind}" id="r" version="{version}">{named}{caused}<s:validity>'
            f"<c:validityTimeSpecification>{first}{last}</c:validityTimeSpecification></s:validity>{placed}{inside}"
            f"</s:situationRecord>"
        )

    def measure(self, kind: str = "SpeedManagement") -> str:
        """A traffic measure, elsewhere."""
        where = f"<s:locationReference>{LINE.replace('52.1', '51.0')}</s:locationReference>"
        return f'<s:situationRecord xsi:type="s:{kind}" id="m" version="9">{where}</s:situationRecord>'

    def comment(self, text: str, kind: str = "") -> str:
        """A comment for the public."""
        sort = f"<s:commentType>{kind}</s:commentType>" if kind else ""
        return f"<s:generalPublicComment><s:comment>{self.text(text)}</s:comment>{sort}</s:generalPublicComment>"

    def text(self, words: str) -> str:
        """A text in one language."""
        return f'<c:values><c:value lang="nl">{escape(words)}</c:value></c:values>'


@pytest.fixture(scope="session")
def datex() -> Writer:
    """Write a publication."""
    return Writer()


@pytest.fixture(scope="session")
def source() -> Callable[..., DatexSource]:
    """Make a source that may speak for all, with keys of its profile replaced."""

    def make(files: Path | str = "feed", **keys: object) -> DatexSource:
        profile = Profile.model_validate({**OWN, "files": str(files), "mandate": "any", **keys})
        return DatexSource(profile, Path(), Context({}))

    return make


@pytest.fixture(scope="session")
def read(source: Callable[..., DatexSource]) -> Callable[..., Snapshot]:
    """Read a document by the profile with these keys."""

    def run(body: bytes, day: str = MOMENT[:10], **keys: object) -> Snapshot:
        moment = day + MOMENT[10:]
        return read_snapshot(source(**keys), Page(moment, taken_at(moment), "", "feed.xml", body))

    assert snapshot_id(taken_at(MOMENT), "0") == MOMENT
    return run
