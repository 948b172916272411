"""`samenloop version` and `samenloop completion`."""

from __future__ import annotations

from typing import Literal

from samenloop import __version__


def version() -> None:
    """Print the version."""
    print(__version__)


def completion(shell: Literal["bash", "zsh", "fish"] = "bash") -> None:
    """Print the completion script for a shell; nothing is installed.

    Bash: `samenloop completion bash > ~/.local/share/bash-completion/completions/samenloop`.

    Parameters
    ----------
    shell
        The shell that will read it.
    """
    from samenloop.cli.tree import build

    print(build().generate_completion(prog_name="samenloop", shell=shell))
