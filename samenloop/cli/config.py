"""`samenloop config check`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from samenloop import credentials
from samenloop.cli.options import Config, Json, settings_of
from samenloop.cli.output import emit, say
from samenloop.errors import BadSettings
from samenloop.settings import Hub


def check(*, config: Config = None, json: Json = False) -> None:
    """Show the settings in force, secrets masked; or every problem in the file and the files it names."""
    import yaml

    hub = settings_of(config)
    problems = [problem for thing in _things(hub) for problem in _problems(thing)]
    if problems:
        raise BadSettings(problems)
    values = hub.model_dump(mode="json")
    if json:
        emit(values)
    else:
        say(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


def _things(hub: Hub) -> Iterator[Callable[[], object]]:
    """Yield what reads each file that the settings name, and raises BadSettings where it does not fit."""
    from samenloop import plugins
    from samenloop.rules import load_rules
    from samenloop.source import Context

    yield lambda: credentials.check(hub)
    yield lambda: load_rules(hub.hub.rules)
    for source in hub.sources.values():
        yield lambda source=source: plugins.load("sources", source.connector)().open(  # type: ignore[misc]
            source.profile, Context(os.environ)
        )


def _problems(thing: Callable[[], object]) -> list[str]:
    try:
        thing()
    except BadSettings as error:
        return error.problems
    return []
