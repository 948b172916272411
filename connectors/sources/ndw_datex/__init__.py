"""DATEX II: publications of situations (versions 2 and 3), such as the planning feed of the Dutch road-works database.

One file per concern: `profile` (the keys), `stream` (bytes to situations, in little memory), `situations` and
`locations` (what a situation says), `codes` (what its codes mean), `translate` (situation to plan), `connector`,
`report` (what `source check` finds).
"""

from connectors.sources.ndw_datex.connector import DatexSource, NdwDatex
from connectors.sources.ndw_datex.profile import Profile, load_profile
from connectors.sources.ndw_datex.report import read_plans

__all__ = ["DatexSource", "NdwDatex", "Profile", "load_profile", "read_plans"]
