"""The documentation as a site: complete, without dead links, and without a call to another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link or an anchor that leads nowhere fails it."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, str(DOCS / "site.py"), str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_on_the_site_and_in_its_navigation(site: Path) -> None:
    """A page that somebody adds to a folder is found without a line anywhere else."""
    start = (site / "index.html").read_text(encoding="utf-8")
    pages = [path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")]
    pages = [page.replace("README.html", "index.html") for page in pages]

    assert [page for page in pages if not (site / page).is_file()] == []
    assert [page for page in pages if page != "index.html" and f'href="./{page}"' not in start] == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """No font, script, style or picture of another host; no diagram that would need one."""
    loaded = {
        f"{page.relative_to(site)}: {found}"
        for page in site.rglob("*.html")
        for found in LOADED.findall(page.read_text(encoding="utf-8"))
        if 'rel="canonical"' not in found
    }

    assert loaded == set()
    assert [str(page) for page in DOCS.rglob("*.md") if "```mermaid" in page.read_text(encoding="utf-8")] == []
