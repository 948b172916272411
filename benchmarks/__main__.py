"""Run the benchmarks: `python -m benchmarks [PATTERN …]`; a pattern such as `detect.*` chooses rows.

Prints a table as the figures come in, and writes build/bench.json: a list of {name, value, unit, peer, ratio}.
Absolute figures move with the machine; the ratios are of one run.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks import rows
from benchmarks.row import Row

RESULT = Path(__file__).parent.parent / "build" / "bench.json"


def main(patterns: list[str]) -> int:
    """Run the rows that match any of *patterns*, all without one. Returns the exit code."""
    measured: list[Row] = []
    print(f"{'row':44} {'value':>12} {'unit':22} {'ratio':>7}  peer")
    for info in sorted(pkgutil.iter_modules(rows.__path__), key=lambda found: found.name):
        module = importlib.import_module(f"{rows.__name__}.{info.name}")
        wanted = {name for name in module.NAMES if any(fnmatchcase(name, p) for p in patterns or ["*"])}
        if not wanted:
            continue
        for row in module.run(wanted):
            measured.append(row)
            print(_line(row), flush=True)
            _write(measured)
    if not measured:
        print(f"no row matches {' '.join(patterns)}", file=sys.stderr)
        return 2
    print(f"\nwritten to {RESULT.relative_to(Path.cwd()) if RESULT.is_relative_to(Path.cwd()) else RESULT}")
    return 0


def _line(row: Row) -> str:
    value = "–" if row.value is None else f"{row.value:,.0f}" if abs(row.value) >= 100 else f"{row.value:,.2f}"
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
    return f"{row.name:44} {value:>12} {row.unit:22} {ratio:>7}  {row.peer or ''}{'  ' + row.note if row.note else ''}"


def _write(measured: list[Row]) -> None:
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps([row._asdict() for row in measured], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
