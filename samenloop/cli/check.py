"""`samenloop check`: plans in files, findings out. No Kafka, nothing kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Json
from samenloop.cli.output import emit, say, warn
from samenloop.errors import BadSettings

if TYPE_CHECKING:
    from samenloop.model import Plan, Restriction, Subject


def check(
    *files: Annotated[Path, Parameter(name="FILES")],
    profile: Annotated[list[Path] | None, Parameter(negative=())] = None,
    rules: Path | None = None,
    today: str | None = None,
    lang: Literal["nl", "en"] = "en",
    pairs: float | None = None,
    crs: str | None = None,
    connector: str = "file-snapshots",
    json: Json = False,
    geojson: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Find conflicts and opportunities between plans in files, and with restrictions, without Kafka.

    Ends with 0 when the files were read, findings or not, and with 1 when one of them is no complete export.

    Parameters
    ----------
    files
        Exports, GeoJSON or CSV.
    profile
        Profile that says what the fields mean: one for all files, or one for each in the same order.
    rules
        Rule configuration; without, the one that is shipped.
    today
        The day to judge on, such as 2027-01-04; without, today in the Netherlands.
    lang
        Language of the sentences.
    pairs
        Only count the pairs of plans within so many metres (0: that meet), and those that also share a day.
    crs
        Projected CRS in metres to measure in, such as EPSG:31370; without, EPSG:28992 in the Netherlands and the UTM
        zone of the places elsewhere.
    connector
        The connector that the profiles are for.
    geojson
        Print the findings as GeoJSON.
    """
    if not files:
        raise BadSettings(["FILES: there is none, expected at least one export"])
    if pairs is not None and not profile:
        emit(_count_shapes(files, pairs, crs))
        return 0
    plans, zones, whole = _read(files, profile or [], connector)
    crs = crs or _metric_crs([*plans, *zones])
    if pairs is not None:
        emit(_count(plans, pairs, crs))
    else:
        form = "geojson" if geojson else "json" if json else "text"
        _find(plans, zones, rules, _day(today), crs, lang=lang, form=form)
    return 0 if whole else 1


def _find(
    plans: Sequence[Plan],
    zones: Sequence[Restriction],
    rules_file: Path | None,
    today: date,
    crs: str,
    *,
    lang: Literal["nl", "en"],
    form: str,
) -> None:
    from samenloop.check import check, to_geojson, to_json_form, to_text
    from samenloop.rules import load_rules

    rules = load_rules(rules_file)
    by_id: dict[str, Subject] = {plan.id: plan for plan in plans}
    by_id |= {zone.id: zone for zone in zones}
    found = check(plans, rules, today, restrictions=zones, metric_crs=crs)
    if form == "text":
        say(to_text(found, by_id, rules, lang))
    else:
        emit(to_json_form(found, by_id, rules) if form == "json" else to_geojson(found, by_id, rules))


def _read(
    files: Sequence[Path], profiles: Sequence[Path], connector: str
) -> tuple[list[Plan], list[Restriction], bool]:
    """Return the plans and restrictions of all files, and whether every file was a complete export.

    What was refused goes to stderr.
    """
    from samenloop import plugins

    if not profiles:
        raise BadSettings(["--profile: is missing, expected a YAML file that says what the fields of the files mean"])
    if len(profiles) not in (1, len(files)):
        raise BadSettings([f"--profile: found {len(profiles)}, expected one, or one for each of {len(files)} files"])
    source = plugins.load("sources", connector)()
    plans: list[Plan] = []
    zones: list[Restriction] = []
    whole = True
    for path, profile in zip(files, profiles if len(profiles) > 1 else [*profiles] * len(files), strict=True):
        result = source.read_plans([path], profile)
        plans += result.plans
        zones += result.restrictions
        for line in _refusals(result.report.files):
            warn(line)
        whole = whole and not any(file.problem for file in result.report.files)
    return plans, zones, whole


def _refusals(reports: Sequence[object]) -> Iterator[str]:
    """Say which files and records are not used, and why; `source check` tells more."""
    for file in reports:
        name = getattr(file, "name", "")
        if problem := getattr(file, "problem", None):
            yield f"{name}: nothing of it is used: {problem} ({getattr(file, 'problem_code', '')})"
        for refused in getattr(file, "refused", ()):
            places = ", ".join(refused.places) + (" …" if refused.count > len(refused.places) else "")
            yield f"{name}: {refused.count} records refused: {refused.detail} ({refused.code}): {places}"


def _count(plans: Sequence[Plan], metres: float, crs: str) -> dict[str, int]:
    """Count pairs of plans with a place. An open end never ends; without a start a plan shares no day with any."""
    from samenloop.geometry import repair_many, to_metric_many
    from samenloop.pairs import count_pairs

    shapes, _ = repair_many(to_metric_many([plan.geometry for plan in plans], crs))
    counted = count_pairs(
        shapes, [plan.period.start for plan in plans], [plan.period.end for plan in plans], metres=metres
    )
    return {"pairs": counted.pairs, "pairs_in_time": counted.pairs_in_time}


def _count_shapes(files: Sequence[Path], metres: float, crs: str | None) -> dict[str, int | None]:
    """Count pairs of bare GeoJSON geometries: without a profile nobody knows which fields are dates."""
    from samenloop.cli.shapes import read_shapes
    from samenloop.pairs import count_pairs

    if crs is None:
        raise BadSettings(["--crs: is missing, expected the projected CRS to measure in, such as EPSG:28992"])
    shapes = read_shapes(files, crs)
    counted = count_pairs(shapes, [None] * len(shapes), [None] * len(shapes), metres=metres)
    return {"pairs": counted.pairs, "pairs_in_time": None}


def _metric_crs(plans: Sequence[Subject]) -> str:
    """Return the CRS to measure in, and say so where it is not the usual one."""
    from samenloop.geometry import fitting_metric_crs

    found = fitting_metric_crs(plan.geometry for plan in plans)
    if found != "EPSG:28992":
        warn(f"Measured in {found}; --crs names another.")
    return found


def _day(text: str | None) -> date:
    if text is None:
        return clock.now().astimezone(ZoneInfo("Europe/Amsterdam")).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadSettings([f"--today: found {text}, expected a date such as 2027-01-04"]) from None
