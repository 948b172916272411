"""What this machine and this hub need, what was found, and the one line that mends it.

A check is a function that looks at one thing and says what it found; it never changes anything. *fail* means that
something will not work, *warn* that it may work badly.
"""

from __future__ import annotations

from collections.abc import Sequence

from samenloop.doctor.check import Check
from samenloop.doctor.machine import MACHINE
from samenloop.settings import Hub

__all__ = ["Check", "healthy", "run_checks"]


def run_checks(hub: Hub | None = None) -> list[Check]:
    """Look at the machine, and with a *hub* at what its settings name, at work or not."""
    checks = [look() for look in MACHINE]
    if hub is not None:
        from samenloop.doctor.hub import hub_checks  # noqa: PLC0415 - Kafka's client and the registry's, for this only

        checks += hub_checks(hub)
    return checks


def healthy(checks: Sequence[Check]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(check.state != "fail" for check in checks)
