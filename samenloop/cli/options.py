"""Options that many commands share, and what they lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from samenloop.settings import Hub, load_hub

if TYPE_CHECKING:
    from samenloop.contract import Codec

Config = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="Settings file; default: $SAMENLOOP_CONFIG, else hub.yaml."),
]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for a machine.")]
Limit = Annotated[int, Parameter(name="--limit", help="Show at most so many, the newest.")]


def hub_of(config: Path | None) -> Hub:
    """Load the settings and set the logs up. Raises BadSettings."""
    from samenloop import logs

    hub = load_hub(config, os.environ)
    logs.configure(hub.logs.level, hub.logs.form)
    return hub


def codec_of(hub: Hub) -> Codec:
    """Return the codec of the hub's registry. Raises Retry when the registry does not answer."""
    from samenloop.contract import Codec

    return Codec.from_registry(hub.registry.url, hub.kafka.prefix)
