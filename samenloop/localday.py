"""The local calendar day of an instant, in Europe/Amsterdam unless told otherwise."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@lru_cache(maxsize=4096)
def local_day(instant: datetime, zone: ZoneInfo = AMSTERDAM) -> date:
    """Return the calendar day on which the aware *instant* falls in *zone*."""
    return instant.astimezone(zone).date()
