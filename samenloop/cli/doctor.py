"""`samenloop doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from samenloop.cli.options import Config, Json, hub_of
from samenloop.cli.output import emit, say
from samenloop.errors import BadSettings
from samenloop.settings import CONFIG_VARIABLE, DEFAULT_FILE, Hub

_SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def doctor(*, config: Config = None, json: Json = False) -> int:
    """Say what this machine lacks and the line that installs it; with settings, also how the hub they name is.

    Of a hub it looks at brokers, topics and their settings, rights, transactions, clock, disks and schemas; it changes
    nothing. Ends with 1 when something would not work.
    """
    from samenloop.doctor import Check, healthy, run_checks

    hub, problems = _settings(config)
    checks = [*run_checks(hub), *(Check("settings", "fail", problem, "correct the settings") for problem in problems)]
    if json:
        emit([asdict(check) for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{_SIGNS[check.state]}  {check.name:{width}}  {check.found}")
            if check.mend and check.state != "ok":
                say(f"      {'':{width}}  → {check.mend}")
        say("Everything that is needed is there." if healthy(checks) else "Something that is needed is missing.")
    return 0 if healthy(checks) else 1


def _settings(config: Path | None) -> tuple[Hub | None, list[str]]:
    """Return the settings when there are any, else only the machine is looked at."""
    if config is None and CONFIG_VARIABLE not in os.environ and not DEFAULT_FILE.exists():
        return None, []
    try:
        return hub_of(config), []
    except BadSettings as error:
        return None, error.problems
