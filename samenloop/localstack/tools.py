"""What a machine must have besides Python, and the one line that installs it."""

from __future__ import annotations

import shutil

_PACKAGES = {
    "mvn": {"apt-get": "maven", "dnf": "maven", "apk": "maven", "brew": "maven"},
    "git": {"apt-get": "git", "dnf": "git", "apk": "git", "brew": "git"},
    "venv": {"apt-get": "python3-venv", "dnf": "python3", "apk": "python3", "brew": "python"},
}
_LINES = {
    "apt-get": "sudo apt-get install -y {}",
    "dnf": "sudo dnf install -y {}",
    "apk": "sudo apk add {}",
    "brew": "brew install {}",
}


def install_line(tool: str) -> str:
    """Return the line that installs *tool* (`mvn`, `git`, `venv`) with the package tool of this machine."""
    packages = _PACKAGES[tool]
    for installer, line in _LINES.items():
        if shutil.which(installer):
            return line.format(packages[installer])
    return _LINES["apt-get"].format(packages["apt-get"])
