"""`samenloop backup` and `samenloop restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from samenloop.cli.options import Config, Json, hub_of, reaching
from samenloop.cli.output import emit, say


def backup(
    folder: Path,
    /,
    *,
    patience: Annotated[float, Parameter(help="Seconds to wait for a moment without an open transaction.")] = 60.0,
    config: Config = None,
    json: Json = False,
) -> None:
    """Write every topic, the registry and the position of every group to a folder, while the hub is at work.

    It is of one moment at which nothing was half done. It holds all plans, RESTRICTED ones too, and hashes of API keys:
    keep it as you keep the hub. The settings, the master key and certificates are not in it.

    Parameters
    ----------
    folder
        A new or empty folder.
    """
    from samenloop.backup import take_backup
    from samenloop.backup.manifest import as_plain

    hub = hub_of(config, "backup")
    with reaching(hub):
        manifest = take_backup(hub, folder, patience_seconds=patience, tell=_silent if json else say)
    if json:
        emit(as_plain(manifest))
    else:
        what = (
            f"{manifest.records} records, {len(manifest.schemas)} schemas, positions of {len(manifest.groups)} groups"
        )
        say(f"{what}, as they were at {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC, are in {folder}")


def restore(
    folder: Path,
    /,
    *,
    check: Annotated[bool, Parameter(negative=(), help="Only check that the backup is whole; ask nobody.")] = False,
    config: Config = None,
) -> None:
    """Bring a backup back into new topics and an empty registry, before any process of the hub is started.

    Every record comes back, where offsets mean something at the offset it had; every schema with its id; every group
    behind the records it had read. A backup that
    is unfinished or damaged, topics that are not new, and a registry that holds something else are refused before
    anything is written. Make the topics with `samenloop topics apply` first; do not register schemas.

    Parameters
    ----------
    folder
        The folder that `samenloop backup` wrote.
    """
    from samenloop.backup import read_backup
    from samenloop.backup import restore as bring_back

    if check:
        manifest = read_backup(folder)
        say(f"The backup of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC is whole: {manifest.records} records.")
        return
    hub = hub_of(config, "restore")
    with reaching(hub):
        manifest = bring_back(hub, folder, tell=say)
    say(f"The hub is as it was at {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC. Start consolidate, detect and notify, let")
    say("`samenloop verify` look, then start sinks, sources and the edge.")


def _silent(_: str) -> None:
    pass
