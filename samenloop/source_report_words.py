"""The report of `samenloop source check` in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from samenloop import geometry as border
from samenloop.model import Period, Plan, Restriction, Subject
from samenloop.source_report import FileReport, Finding, Report

_MEANING = {
    "id.duplicate": "rows share an id with others: taken as one work",
    "title.missing": "no title: the id is taken",
    "period.missing": "no first or last day",
    "period.open-end": "an end that means no end",
    "period.end-from-start": "only a year, quarter, month or week: taken as the whole of it",
    "period.end-at-midnight": "an end at exactly 00:00 (`period.midnight_end`)",
    "period.end-before-start": "the end lies before the start: such a plan is not matched",
    "duration.unreadable": "a length that cannot be read",
    "date.unreadable": "a date that cannot be read",
    "geometry.missing": "no location",
    "status.unknown": "no status that is known: such a zone is not judged",
    "geometry.empty": "an empty shape: no location",
    "geometry.zero-coordinate": "at 0, 0: no location",
    "geometry.axes-swapped": "x and y are swapped: no location",
    "geometry.outside-area": "too far away: no location",
    "geometry.not-finite": "coordinates that are no numbers: no location",
    "geometry.simplified": "simplified",
    "geometry.crs-unexpected": "coordinates in a CRS that is not known: no location",
    "geometry.reference-only": "only a reference to a location table (Alert-C and the like): no location",
    "geometry.reference-part": "one part has only a reference to a location table",
    "geometry.ends-only": "only the ends of a stretch are given: the straight line between them",
    "geometry.display-point": "only the point for display: extent unknown",
    "owner.missing": "no name of an owner: an identity of this plan alone",
    "comment.withheld": "comments that are not for publication, left out",
    "personal.dropped": "dropped",
    "personal.text-withheld": "text withheld: e-mail address, telephone number or BSN",
}

_AGAIN = {"missing": "fields that no row has", "unmapped": "codes that are not mapped"}


def words(report: Report) -> str:
    """Return the report as lines of text."""
    lines = [f"{report.profile}: {report.system}"]
    for file in report.files:
        lines += ["", *_file(file)]
    lines += ["", _verdict(report)]
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    if report.ok:
        again = [words for name, words in _AGAIN.items() if any(getattr(file, name) for file in report.files)]
        return f"All of it is used. Look again at: {', '.join(again)}." if again else "All well."
    if any(file.all_misplaced for file in report.files):
        return "See above: no plan has a place that can be used. Look at `crs`, `axis_order` and `bbox`."
    if not any(file.problem or file.rows for file in report.files):
        return "See above: there is nothing in it."
    return "See above: not everything maps."


def _file(file: FileReport) -> Iterator[str]:
    taken = f"{file.taken_at:%Y-%m-%d %H:%M} UTC" if file.taken_at else "unknown"
    if file.problem:
        yield f"{file.name}: NOT USED ({file.problem_code}): {file.problem}"
        return
    refused = sum(refusal.count for refusal in file.refused)
    yield (
        f"{file.name}: {file.format}, {file.encoding}, {file.crs}, taken {taken}: "
        f"{file.rows} {file.unit}s, {file.works} works, {_what(file)}, {refused} refused"
    )
    yield from _section("Refused", (_refusal(r.code, r.count, r.detail, r.places) for r in file.refused))
    yield from _section(
        "Fields that the profile names and no row has",
        (f"{m.name} ({m.key})" + (f": did you mean {m.suggestion}?" if m.suggestion else "") for m in file.missing),
    )
    yield from _section(
        "Codes that are not mapped",
        (f"{u.key}: {u.field} = {', '.join(f'{code!r} {count}x' for code, count in u.codes)}" for u in file.unmapped),
    )
    yield from _section("Personal data", map(_finding, file.personal))
    yield from _section("Traffic measures and detours: no plan, no location", _measures(file))
    yield from _section("Places", [*map(_finding, file.places), *_where(file)])
    yield from _section("Odd", map(_finding, file.odd))
    yield from _section(
        "Restrictions" if file.restrictions else "Plans",
        (f"{name}: {_counts(counts)}" for name, counts in file.counts.items() if counts),
    )
    days = [f"{file.first_day or '?'} .. {file.last_day or '?'}"] if file.first_day or file.last_day else []
    yield from _section("Period", days)
    yield from _section("Fields that go along as source_fields", [", ".join(file.kept_fields)] * bool(file.kept_fields))
    yield from _section("Samples", map(_sample, file.samples))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"  {title}"
        yield from (f"    {line}" for line in found)


def _refusal(code: str, count: int, detail: str, places: tuple[str, ...]) -> str:
    more = ", …" if count > len(places) else ""
    return f"{count}x {code}: {detail} [{', '.join(places)}{more}]"


def _finding(finding: Finding) -> str:
    about = _MEANING.get(finding.code, finding.code)
    name = f"{finding.field}: " if finding.field else ""
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{finding.count}x {name}{about}{detail}"


def _measures(file: FileReport) -> Iterator[str]:
    if file.measures:
        yield f"{sum(file.measures.values())}: {_counts(file.measures)}"
    if file.measures_only:
        yield f"{file.unit}s that hold nothing else: {file.measures_only}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _where(file: FileReport) -> list[str]:
    if file.bounds_wgs84 is None:
        return []
    west, south, east, north = file.bounds_wgs84
    return [f"all within {west}, {south} .. {east}, {north} (longitude, latitude)"]


def _what(file: FileReport) -> str:
    return f"{file.restrictions} restrictions" if file.restrictions else f"{file.plans} plans"


def _sample(subject: Subject) -> str:
    return _restriction(subject) if isinstance(subject, Restriction) else _plan(subject)


def _restriction(zone: Restriction) -> str:
    about = ", ".join(kind.rpartition(":")[2] for kind in zone.work_kinds) or "all kinds of work"
    exempt = ", ".join(kind.rpartition(":")[2] for kind in zone.exempt_work_kinds)
    return (
        f"{zone.local_id}: {zone.title!r}, {zone.owner.name or zone.owner.oin}, {zone.kind}, "
        f"{zone.status}/{zone.force}, "
        f"{_period(zone.period)}, {about}{f' but {exempt}' if exempt else ''}, "
        f"{border.read_wkb(zone.geometry.wkb).geom_type}, {zone.visibility}"
    )


def _plan(plan: Plan) -> str:
    kinds = ", ".join(kind.rpartition(":")[2] for kind in plan.work_kinds) or "no kinds of work"
    shape = border.read_wkb(plan.geometry.wkb).geom_type if plan.geometry else "no location"
    owner = plan.owner.name or plan.owner.oin
    return (
        f"{plan.local_id}: {plan.title!r}, {owner}, {plan.kind}, {plan.phase}/{plan.certainty}, "
        f"{_period(plan.period)}, {kinds}, {shape}, {plan.visibility}"
    )


def _period(period: Period) -> str:
    end = period.end or f"open ({period.end_kind})"
    return f"{period.start or '?'} .. {end} by {period.precision}"
