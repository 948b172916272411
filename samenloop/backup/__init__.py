"""Backup and restore: every topic record for record, the registry with its ids, and how far every group was.

A folder of plain files: an Avro container for each partition, the registry's own export, `manifest.json`, and
`SHA256SUMS`, which is written last (`sha256sum -c SHA256SUMS` checks it too). What Faust keeps for itself is left out:
the view makes it again.
"""

from samenloop.backup.bringing import restore
from samenloop.backup.manifest import Manifest, read_backup
from samenloop.backup.taking import take_backup

__all__ = ["Manifest", "read_backup", "restore", "take_backup"]
