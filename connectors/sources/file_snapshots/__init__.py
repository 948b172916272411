"""File snapshots: a folder or web address of full exports, GeoJSON or CSV, mapped by a YAML profile.

One file per concern: `profile` (the keys), `documents` and `envelopes` (is it a whole export?), `works`, `fields`,
`dates`, `periods`, `locations`, `owners`, `code_tables`, `privacy` (what a row means), `translate` (row to plan),
`fingerprints`, `moments` (when an export was made), `connector`, `report` (what `source check` finds).
"""

from connectors.sources.file_snapshots.connector import FileSnapshots
from connectors.sources.file_snapshots.profile import Profile, load_profile
from connectors.sources.file_snapshots.report import check_profile, read_plans
from samenloop.source_report import ReadResult, Report

__all__ = ["FileSnapshots", "Profile", "ReadResult", "Report", "check_profile", "load_profile", "read_plans"]
