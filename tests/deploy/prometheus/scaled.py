"""The alert rules as they are, with a minute in place of every hour and a second in place of every minute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.promql import RULES

_SECONDS = {"m": 1, "h": 60, "d": 1440}
_WAITS = (300, 900, 3600, 86400)
"""Thresholds in seconds that rules wait for. Others, such as the timeout of a transaction, stay."""


def write(file: Path) -> Path:
    """Write the rules for a drill and return the file."""
    made = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in made["groups"]:
        group["interval"] = "1s"
        group["rules"] = [_rule(rule) for rule in group["rules"]]
    file.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
    return file


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    waits = {key: _span(rule[key]) for key in ("for", "keep_firing_for") if key in rule}
    expr = re.sub(r"\[(\w+)\]", lambda found: f"[{_span(found[1])}]", rule["expr"])
    for seconds in _WAITS:
        expr = re.sub(rf"(?<![\w.]){seconds}(?![\w.])", str(seconds // 60), expr)
    return {**rule, **waits, "expr": expr}


def _span(text: str) -> str:
    return f"{int(text[:-1]) * _SECONDS[text[-1]]}s"
