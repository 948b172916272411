"""The demonstration's folder: settings, a key and profiles as a user would write them, and the exports of each week."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import yaml

from samenloop.demo.region import SOURCES, exports
from samenloop.demo.roads import ROADS

OVERVIEW: Mapping[str, Mapping[str, object]] = {
    "gemeente-havervoort": {"title": "Werkenregister", "product": "Straatwerk 4", "standards": ["GeoJSON (RFC 7946)"]},
    "waterschap-de-wetering": {"title": "Projectenlijst", "product": "Rekenblad", "standards": ["CSV"]},
    "netbeheerder-vonkstroom": {"title": "Assetplanner", "product": "Kabelplan", "standards": ["GeoJSON in RD"]},
    ROADS: {"title": "Wegenregister", "product": "Wegenregister", "standards": ["DATEX II v3"]},
}
"""What the overview of systems says of each source."""
SETTINGS = "hub.yaml"
EXPORTS = "exports"
PROFILE = "profile.yaml"
_CONNECTORS = {**dict.fromkeys(SOURCES, "file-snapshots"), ROADS: "ndw-datex"}
_POLL_SECONDS = {"file-snapshots": 0.3, "ndw-datex": 0.5}
_FEED = b"FEED_ADDRESS"
"""In a profile: where the road register is served, which is known only now."""


def furnish(folder: Path, *, bootstrap: str, registry_url: str, feed_url: str, edge_port: int) -> Path:
    """Write settings, master key and profiles into *folder* and return the settings file."""
    key = folder / "master.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(32))
    for source in SOURCES:
        (folder / source / EXPORTS).mkdir(parents=True)
    for source in _CONNECTORS:
        (folder / source).mkdir(exist_ok=True)
        (folder / source / PROFILE).write_bytes(_profile(source).replace(_FEED, feed_url.encode()))
    file = folder / SETTINGS
    settings = _settings(bootstrap, registry_url, edge_port)
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return file


def drop(folder: Path, week: int) -> None:
    """Let the organisations put their exports of *week* into their folders, each file at once and whole."""
    for export in exports(week):
        there = folder / export.source / EXPORTS
        unfinished = there / f".{export.file_name}"
        unfinished.write_bytes(export.body)
        unfinished.rename(there / export.file_name)


def _settings(bootstrap: str, registry_url: str, edge_port: int) -> dict[str, object]:
    return {
        "kafka": {"bootstrap_servers": bootstrap, "prefix": "demo."},
        "registry": {"url": registry_url},
        "hub": {"name": "Samenloop Havervoort", "clock": "event"},
        "delivery": {
            "master_key_file": "master.key",
            "allow_http": True,  # the receiver is on this machine
            "allow_destinations": ["127.0.0.0/8"],
            "retry_seconds": [0, 1, 2, 2, 3, 3, 5, 5, 5, 10, 10, 20, 30, 60],
            "first_load_quiet_seconds": 2,
        },
        "edge": {"port": edge_port, "public": True},
        "probe": {"every_seconds": 5},  # weeks take seconds here
        "sources": {
            source: {
                "connector": connector,
                "profile": f"{source}/{PROFILE}",
                "poll_every_seconds": _POLL_SECONDS[connector],
                **OVERVIEW[source],
            }
            for source, connector in _CONNECTORS.items()
        },
        "data_dir": "data",
    }


def _profile(source: str) -> bytes:
    return files("samenloop.demo").joinpath("profiles", f"{source}.yaml").read_bytes()
