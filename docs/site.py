"""Build the documentation as a site: `python docs/site.py [FOLDER]`, by default into build/site.

Its pages are those of docs/. What stands where follows from the folders, so that a page that is added is on the site;
links to files of the repository that are no pages lose their target there. Nothing is loaded from another host.
Warnings, dead links and missing anchors among them, end it with 1.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

DOCS = Path(__file__).parent
SECTIONS: dict[str, tuple[str, ...]] = {
    "Start": ("index.md", "start.md"),
    "Connect a source": ("sources/*.md", "add-a-connector.md"),
    "Partners": ("partners/*.md",),
    "Operators": (
        *(f"operators/{name}.md" for name in ("compose", "kubernetes", "security", "threat-model", "monitoring")),
        "operators/*.md",
        "benchmarks.md",
    ),
    "Runbooks": ("operators/runbooks/*.md",),
    "Reference": ("reference/README.md", "reference/*.md"),
    "Glossary": ("glossary.md",),
    "Decisions": ("decisions/README.md", "decisions/*.md"),
}
"""Heading and patterns, in order; a page stands where it is named first. One that no pattern names is a mistake."""
PAGES_AND_PICTURES = ("*.md", "*.svg", "*.png", "*.yaml")
EXTENSIONS: list[Any] = ["tables", "admonition", "attr_list", {"toc": {"permalink": True}}, "pymdownx.superfences"]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def build(site: Path) -> int:
    """Build the site into *site*; returns the exit code of the generator."""
    with TemporaryDirectory(prefix="samenloop-docs-") as name:
        folder = Path(name)
        for path in sorted({path for pattern in PAGES_AND_PICTURES for path in DOCS.rglob(pattern)}):
            copy(path, folder / "docs" / path.relative_to(DOCS))
        (folder / "mkdocs.yml").write_text(yaml.safe_dump(configuration(), sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
        code = subprocess.run(command, cwd=folder, check=False).returncode
        if code == 0:
            shutil.rmtree(site, ignore_errors=True)
            shutil.copytree(folder / "site", site)
            print(f"Open {site / 'index.html'}")
    return code


def copy(source: Path, target: Path) -> None:
    """Copy a page or a picture; in a page, links out of docs/ become their words alone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".md":
        shutil.copy(source, target)
        return

    def kept(link: re.Match[str]) -> str:
        inside = "://" in link[2] or (source.parent / link[2]).resolve().is_relative_to(DOCS)
        page = inside and not link[2].endswith(("/", ".py"))
        return link[0] if page else link[1]

    target.write_text(LINK.sub(kept, source.read_text(encoding="utf-8")), encoding="utf-8")


def configuration() -> dict[str, Any]:
    """Return the settings of the generator."""
    return {
        "site_name": "Samenloop",
        "site_description": "The integration hub that joins the planning systems of all who open the ground.",
        "use_directory_urls": False,  # the pages can be read from a folder, without a server
        "theme": {
            "name": "material",
            "variant": "modern",
            "font": False,  # they would come from another host
            "features": ["navigation.sections", "navigation.top", "content.code.copy", "search.highlight"],
        },
        "markdown_extensions": EXTENSIONS,
        "nav": navigation(),
    }


def navigation() -> list[dict[str, Any]]:
    """Return every page under its heading. Raises ValueError for a page that no section names."""
    left = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    found: list[dict[str, Any]] = []
    for heading, patterns in SECTIONS.items():
        pages: list[str] = []
        for pattern in patterns:
            pages += sorted(page for page in left - {*pages} if (DOCS / page).match(f"docs/{pattern}"))
        left -= {*pages}
        if pages:
            found.append({heading: [{title(page): page} for page in pages] if len(pages) > 1 else pages[0]})
    if left:
        raise ValueError(f"name a section for {', '.join(sorted(left))} in docs/site.py")
    return found


def title(page: str) -> str:
    """Return the first heading of a page."""
    heading = re.search(r"^# (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1].replace("`", "") if heading else page


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS.parent / "build" / "site"))
