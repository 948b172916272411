"""The command line: what there is to do, in one table. Each command is imported only when it runs.

Exit codes: 0 done, 1 it failed or found problems, 2 the command line or the settings cannot be understood,
130 interrupted. Those of a running stage stand in docs/reference/exit-codes.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from samenloop import __version__


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its words, where its function is, and one sentence."""

    words: str
    target: str
    help: str


COMMANDS = (
    Command("demo", "demo:demo", "Play an invented region through a real hub on this machine, and tell what it finds."),
    Command("doctor", "doctor:doctor", "Say what this machine lacks, and the line that installs it."),
    Command("up", "up:up", "Run the whole hub of one hub.yaml, supervised, until Ctrl-C."),
    Command("check", "check:check", "Find conflicts and opportunities between plans in files, without Kafka."),
    Command("run source", "run:source", "Run sources: read partners' systems, publish what changed."),
    Command("run stream", "run:stream", "Run stages of the stream: consolidate, detect, notify."),
    Command("run sink", "run:sink", "Run sinks: carry alerts to partners, write receipts."),
    Command("run conservation", "run:conservation", "Count what came in and what became of it, hour by hour."),
    Command("run lag-exporter", "run:lag_exporter", "Show how far every group is, and dead letters that wait."),
    Command("run probe", "run:probe", "Send a synthetic plan the whole way, again and again, and time it."),
    Command("verify", "verify:verify", "Say whether the truth is true: work it out again from the changes, compare."),
    Command("run edge", "run:edge", "Run the hub's HTTP side: partners send plans to it and ask it."),
    Command("source list", "sources:list_", "Show the configured sources and how their last poll ended."),
    Command("source check", "sources:check", "Show how the records of a profile's files map, before connecting them."),
    Command("source release", "sources:release", "Apply the delivery that a source holds back."),
    Command("source discard", "sources:discard", "Drop the delivery that a source holds back."),
    Command("partners add", "partners:add", "Admit a partner; shows its API key once."),
    Command("partners list", "partners:list_", "Show the partners."),
    Command("partners mandate", "partners:mandate", "Say for which other owners a partner may send plans."),
    Command("partners revoke", "partners:revoke", "End a partner's access."),
    Command("partners key add", "partners:key_add", "Give a partner another API key; shows it once."),
    Command("partners key list", "partners:key_list", "Show a partner's API keys and what each may be used for."),
    Command("partners key revoke", "partners:key_revoke", "End one API key."),
    Command("subscriptions add", "subscriptions:add", "Subscribe a partner; shows the webhook secret."),
    Command("subscriptions list", "subscriptions:list_", "Show the subscriptions."),
    Command("subscriptions pause", "subscriptions:pause", "Hold back a subscription's alerts; none is lost."),
    Command("subscriptions resume", "subscriptions:resume", "Ask the sink again, and go on with what waited."),
    Command("subscriptions test", "subscriptions:test", "Send a test alert."),
    Command("subscriptions rotate", "subscriptions:rotate", "Give a subscription a new webhook secret."),
    Command("subscriptions end", "subscriptions:end", "End a subscription."),
    Command("dead-letters list", "dead_letters:list_", "Show the records that were set aside, and why."),
    Command("dead-letters show", "dead_letters:show", "Show one of them whole: reason, headers, original bytes."),
    Command("dead-letters replay", "dead_letters:replay", "Offer such records again, and say what came of it."),
    Command("dead-letters discard", "dead_letters:discard", "Note that such records need nothing more, and why."),
    Command("topics apply", "kafka:apply", "Create the topics that are missing, with their settings."),
    Command("schemas check", "kafka:check", "Check the schemas against their earlier versions, and the registry's."),
    Command("schemas register", "kafka:register", "Register the schemas in the registry."),
    Command("config check", "config:check", "Show the settings in force, secrets masked, or every problem in them."),
    Command("completion", "about:completion", "Print the completion script for a shell."),
    Command("version", "about:version", "Print the version."),
)
GROUPS = {
    "run": "Run parts of the hub, one process each: what a container runs.",
    "source": "Look after the sources.",
    "partners": "Who may use the hub.",
    "partners key": "Their API keys.",
    "subscriptions": "Who is told what, and where.",
    "dead-letters": "Records that were set aside.",
    "topics": "The topics on Kafka.",
    "schemas": "The contract's schemas.",
    "config": "The settings.",
}


def overview() -> str:
    """Return the help of the bare command: every command with its sentence."""
    width = max(len(command.words) for command in COMMANDS)
    lines = [f"  {command.words:{width}}  {command.help}" for command in COMMANDS]
    return "\n".join(
        [
            "Usage: samenloop COMMAND [OPTIONS]",
            "",
            "One shared truth of the plans of works of many organisations: who will be in each other's way,",
            "and who could dig together.",
            "",
            "Commands:",
            *lines,
            "",
            "`samenloop COMMAND --help` tells more. Settings: hub.yaml, or --config FILE.",
        ]
    )


def unknown(given: Sequence[str]) -> str | None:
    """Return a sentence when the first words are no command, with the nearest one that is."""
    words = [word for word in given[: 3 if " ".join(given[:2]) in GROUPS else 2] if not word.startswith("-")]
    known = [command.words for command in COMMANDS]
    if not words or words[0] in known or " ".join(words) in (*GROUPS, *known):
        return None
    from difflib import get_close_matches

    firsts = [name for name in (*GROUPS, *known) if " " not in name]
    asked = " ".join(words) if words[0] in GROUPS else words[0]
    close = get_close_matches(" ".join(words), known if len(words) > 1 else firsts, n=1)
    close = close or get_close_matches(words[0], firsts, n=1)
    return f"There is no command `{asked}`." + (f" Did you mean `{close[0]}`?" if close else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code. Help and version need nothing else, so that they are immediate."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    text = overview() if given in ([], ["--help"], ["-h"], ["help"]) else None
    if given in (["--version"], ["version"]):
        text = __version__
    if text is not None:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        sys.exit(0)
    if problem := unknown(given):
        print(f"{problem}\nTry: samenloop --help", file=sys.stderr)
        sys.exit(2)
    from samenloop.cli.tree import run

    sys.exit(run(given))
