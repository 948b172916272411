"""Dates and periods in the forms of real exports."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.sources.file_snapshots.dates import read_date
from connectors.sources.file_snapshots.fields import Row
from connectors.sources.file_snapshots.periods import PeriodProfile, duration_days, read_period
from samenloop.errors import Reject
from samenloop.model import EndKind, Period, Precision
from samenloop.periods import envelope

ZONE = ZoneInfo("Europe/Brussels")
D = date.fromisoformat


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-08-10", "2026-08-10"),
        ("2026-08-10Z", "2026-08-10"),
        ("21/09/2026 14:00:00", "2026-09-21"),
        ("22-09-2026", "2026-09-22"),
        ("24.07.2026 07:00", "2026-07-24"),
        ("2026-07-24T07:00", "2026-07-24"),
        ("2024-06-23T23:00:00.000Z", "2024-06-24"),
        ("2026-08-03 23:30:00+01:00", "2026-08-04"),
        (1763494200000, "2025-11-18"),
        ("1763494200", "2025-11-18"),
        ("20211107 1000", "2021-11-07"),
        ("/Date(1763494200000)/", "2025-11-18"),
        ("12 maart 2027", "2027-03-12"),
        (20270315, "2027-03-15"),
        ("1.3.2027", "2027-03-01"),
        ("15/01/2027 12:30 AM", "2027-01-15"),
    ],
)
def test_days_and_instants(value: Any, day: str) -> None:
    """Instants are converted to local days; without an offset they are local already."""
    assert read_date(value, (), ZONE).first == D(day)


@pytest.mark.parametrize(
    ("value", "first", "last", "precision"),
    [
        ("2027", "2027-01-01", "2027-12-31", Precision.YEAR),
        (2027, "2027-01-01", "2027-12-31", Precision.YEAR),
        ("2027-Q3", "2027-07-01", "2027-09-30", Precision.QUARTER),
        ("3e kwartaal 2027", "2027-07-01", "2027-09-30", Precision.QUARTER),
        ("H2 2027", "2027-07-01", "2027-12-31", Precision.YEAR),
        ("februari 2028", "2028-02-01", "2028-02-29", Precision.MONTH),
        ("2027-03", "2027-03-01", "2027-03-31", Precision.MONTH),
        ("week 12 2027", "2027-03-22", "2027-03-28", Precision.WEEK),
        ("KW 12/2027", "2027-03-22", "2027-03-28", Precision.WEEK),
        ("tweede helft van 2027", "2027-07-01", "2027-12-31", Precision.YEAR),
        ("3. Quartal 2027", "2027-07-01", "2027-09-30", Precision.QUARTER),
        ("2027 voorjaar", "2027-03-01", "2027-05-31", Precision.QUARTER),
        ("Winter 2027/28", "2027-12-01", "2028-02-29", Precision.QUARTER),
        ("begin 2027", "2027-01-01", "2027-04-30", Precision.YEAR),
        ("mid-2027", "2027-05-01", "2027-08-31", Precision.YEAR),
        ("eind maart 2027", "2027-03-01", "2027-03-31", Precision.MONTH),
    ],
)
def test_coarse_dates_keep_their_precision(value: Any, first: str, last: str, precision: Precision) -> None:
    """A year is 1 January to 31 December, and says that it is a year."""
    read = read_date(value, ("dd-mm-yyyy",), ZONE)

    assert (read.first, read.last, read.precision) == (D(first), D(last), precision)


@pytest.mark.parametrize(
    "value", ["31-02-2027", "13/13/2027", "ooit", "03/14/2027", True, "2027-13", "99", "winter 2027", "12 2027"]
)
def test_what_is_no_date_is_refused(value: Any) -> None:
    """Nothing is guessed: a month that comes first must be said."""
    with pytest.raises(ValueError, match=r"."):
        read_date(value, (), ZONE)


@pytest.mark.parametrize(
    ("form", "value", "day"),
    [
        ("mm/dd/yyyy", "03/14/2027 10:00", "2027-03-14"),
        ("dd-mm-yy", "30-11-25", "2025-11-30"),
        ("yyyymmdd", "20270301", "2027-03-01"),
        ("excel", "46000", "2025-12-09"),
        ("epoch_s", 1763494200, "2025-11-18"),
        ("mm/dd/yyyy", "2027-03-14", "2027-03-14"),
    ],
)
def test_forms_that_a_profile_names(form: str, value: Any, day: str) -> None:
    """They replace the usual ones; ISO is always read."""
    assert read_date(value, (form,), ZONE).first == D(day)


def read(text: str | dict[str, Any], **fields: Any) -> Period:
    profile = PeriodProfile.model_validate(text if isinstance(text, dict) else {"fields": text})
    return read_period(profile, Row(1, fields, nulls=frozenset({"-"})), ZONE).period


def test_the_first_pair_that_is_filled_counts() -> None:
    """Permitted first, else planned; half a permitted pair does not hide a whole planned one."""
    profile = {"fields": [["pv", "pt"], ["v", "t"]]}
    planned = {"v": "2027-01-01", "t": "2027-01-31"}

    assert read(profile, **planned, pv="", pt="").end == D("2027-01-31")
    assert read(profile, **planned, pv="2027-02-01", pt="2027-02-05").start == D("2027-02-01")
    assert read(profile, **planned, pv="2027-02-01", pt="").start == D("2027-01-01")
    assert read(profile, pv="2027-02-01").start == D("2027-02-01")


def test_ends_that_mean_no_end() -> None:
    """A sentinel, a word for endless, nothing at all: told apart."""
    pair = {"fields": [["v", "t"]]}
    start = "2027-01-01"

    assert read(pair, v=start, t="01/01/3000").end_kind is EndKind.SENTINEL
    assert read({**pair, "open_ends": []}, v=start, t="01/01/3000").end == D("3000-01-01")
    assert read({**pair, "open_ends": ["31-12-2030"]}, v=start, t="2030-12-31").end is None
    assert read({**pair, "endless": ["onbepaald"]}, v=start, t="onbepaald").end_kind is EndKind.INDEFINITE
    assert read(pair, v=start, t="-").end_kind is EndKind.UNKNOWN
    assert read(pair, v="1970-01-01", t="2027-01-01").start is None


def test_an_end_at_midnight_is_a_setting_of_the_source() -> None:
    """A date written as an instant is that day; a real instant ends the day before."""
    pair = {"fields": [["v", "t"]]}
    fields = {"v": "2027-03-01T08:00", "t": "2027-03-05T00:00"}

    assert read(pair, **fields).end == D("2027-03-05")
    assert read({**pair, "midnight_end": "day_before"}, **fields).end == D("2027-03-04")
    assert read({**pair, "midnight_end": "day_before"}, v="2027-03-05", t="2027-03-05T00:00").end == D("2027-03-05")
    assert read({**pair, "midnight_end": "day_before"}, v="2027-03-01", t="2027-03-05").end == D("2027-03-05")


def test_times_written_in_another_zone() -> None:
    """23:30 without an offset is the next day where the source writes UTC."""
    assert read({"fields": [["v", "t"]], "written_in": "UTC"}, v="2023-12-18T23:30:00").start == D("2023-12-19")


@pytest.mark.parametrize("text", ["29-08-2027 t/m 16-09-2027", "29-08-2027,16-09-2027", "2027-08-29/2027-09-16"])
def test_a_period_in_one_text(text: str) -> None:
    """Two dates with something between them."""
    found = read("p", p=text)

    assert (found.start, found.end) == (D("2027-08-29"), D("2027-09-16"))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("maart t/m mei 2027", "2027-03-01", "2027-05-31"),
        ("november - februari 2028", "2027-11-01", "2028-02-29"),
        ("1 - 15 maart 2027", "2027-03-01", "2027-03-15"),
        ("week 12-14 2027", "2027-03-22", "2027-04-11"),
        ("Q4 2027 / Q1 2028", "2027-10-01", "2028-03-31"),
    ],
)
def test_one_side_of_a_period_may_leave_out_what_the_other_says(text: str, start: str, end: str) -> None:
    """The year, the month, the word week; what is written the wrong way round stays so."""
    found = read("p", p=text)

    assert (found.start, found.end) == (D(start), D(end))
    assert read("p", p="16-09-2027 t/m 29-08-2027").end == D("2027-08-29")


def test_parts_of_a_date_in_fields_of_their_own() -> None:
    """A template puts them together; where a part is missing the rest is read."""
    day = {"fields": ["{d} {t}", "{e} {u}"], "formats": ["mm/dd/yyyy"]}
    found = read(day, d="03/15/2027", t="07:00 AM", e="03/20/2027", u="")

    assert (found.start, found.end) == (D("2027-03-15"), D("2027-03-20"))
    assert read("{j}-Q{k}", j=2027, k=3).precision is Precision.QUARTER
    with pytest.raises(Reject, match=r"\{d\} \{t\}: found .* expected mm/dd/yyyy"):
        read(day, d="20/03/2027", t="07:00")


def test_a_coarse_start_alone_is_the_whole_of_it() -> None:
    """ "2029" with an empty end is the year 2029, not an endless work from New Year on."""
    found = read({"fields": [["v", "t"]]}, v="2029", t="")

    assert (found.end, found.precision) == (D("2029-12-31"), Precision.YEAR)


def test_a_date_that_cannot_be_read_names_field_and_form_not_content() -> None:
    """The message never quotes the payload."""
    with pytest.raises(Reject) as found:
        read({"fields": [["v", "t"]]}, v="na de zomer van Jan")

    assert (found.value.code, found.value.field) == ("date.unparseable", "v")
    assert "aa aa aaaaa aaa aaa" in found.value.detail
    assert "Jan" not in found.value.detail


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("15 Jours Ouvrables", 21),
        ("1 Jour Ouvrable", 1),
        ("15", 15),
        ("3 weken", 21),
        ("1,5 maand", 46),
        ("lang", None),
    ],
)
def test_lengths(text: str, days: int | None) -> None:
    """Five working days are a week."""
    assert duration_days(text) == days


def test_several_periods_have_an_envelope_and_a_list() -> None:
    """The envelope is what a calendar shows; matching uses the list."""
    first, second = (Period(D(a), D(b), Precision.DAY, EndKind.GIVEN) for a, b in (
        ("2027-01-01", "2027-01-05"), ("2027-03-01", "2027-03-05")))  # fmt: skip

    period, parts = envelope([second, first, first])

    assert (period.start, period.end) == (D("2027-01-01"), D("2027-03-05"))
    assert parts == (first, second)
    assert envelope([first, first]) == (first, ())
