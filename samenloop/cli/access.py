"""`samenloop access list|apply`: who may do what on Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from samenloop.cli.options import Config, Json, hub_of, reaching, settings_of
from samenloop.cli.output import emit, say
from samenloop.credentials import ADMIN, principal_on_wire
from samenloop.errors import BadSettings
from samenloop.settings import Hub

if TYPE_CHECKING:
    from samenloop.kafka.authorize import Authorizer

Principal = Annotated[
    str,
    Parameter(help="What Kafka calls who signs in, {name} is the user: User:CN={name} for certificates by default."),
]


def list_(*, config: Config = None, json: Json = False) -> None:
    """Show every principal, what its process is, and the rights it needs. Asks nobody: it is the table of the hub.

    The sources are those of the settings file; all names carry `kafka.prefix`.
    """
    hub = settings_of(config)
    if json:
        emit(_form(hub))
        return
    from samenloop.kafka.access import accesses

    for access in accesses(hub.sources).values():
        say(f"{principal_on_wire(hub.kafka.prefix, access.principal)}: {access.what}")
        for what, names in (
            ("writes", access.writes),
            ("reads", access.reads),
            ("looks at", access.looks_at),
            ("makes", access.makes),
            ("is a member of", access.joins),
            ("looks at groups", access.looks_at_groups),
            ("sees settings", (*access.inspects, *(("brokers",) if access.inspects_brokers else ()))),
            ("has transactions", access.slots),
        ):
            if names:
                say(f"  {what:16}  {', '.join(names)}")


def apply(
    *,
    check: Annotated[bool, Parameter(negative=(), help="Change nothing; end with 1 where something differs.")] = False,
    users: Annotated[
        bool, Parameter(negative=(), help="Make SCRAM users too, passwords from and to kafka.credentials_dir.")
    ] = False,
    prune: Annotated[
        bool, Parameter(negative=(), help="Also withdraw rights of principals that are not in these settings.")
    ] = False,
    principal: Principal = "User:{name}",
    config: Config = None,
) -> int:
    """Make the rights on a Kafka with an authorizer equal to what the hub's processes need; show what differed.

    A line begins with + for what was lacking, - for what was beyond, ? for what is left alone.
    Runs as principal `admin`, which must be a super user of the cluster: nothing else of the hub is one. Principals
    with our prefix that these settings do not know, such as sources of another file, keep their rights unless pruned.
    """
    from samenloop.kafka.access import accesses
    from samenloop.kafka.authorize import Authorizer, lines_of

    if "{name}" not in principal:
        raise BadSettings([f"--principal: found {principal!r}, expected a form with {{name}} in it"])
    hub = hub_of(config, ADMIN)
    folder = hub.kafka.credentials_dir if users else None
    if users and folder is None:
        raise BadSettings(["kafka.credentials_dir: is not given, but --users reads and writes passwords there"])
    rows = accesses(hub.sources).values()
    with reaching(hub):
        authorizer = Authorizer(hub.kafka, rows, principal=lambda name: principal.format(name=name))
        found = authorizer.differences()
        withdrawn = [*found.beyond, *(found.strangers if prune else ())]
        lines = [*lines_of(found.lacking, "+"), *lines_of(withdrawn, "-")]
        if not prune:
            lines += lines_of(found.strangers, "? not in these settings, kept:")
        if not check:
            authorizer.grant(found.lacking)
            authorizer.withdraw(withdrawn)
        made = _users(authorizer, folder, check=check) if folder else []
        lines += made
    for line in lines:
        say(line)
    if not lines:
        say("Every principal has the rights it needs, and no other.")
    return 1 if check and (found.lacking or withdrawn or made) else 0


def _users(authorizer: Authorizer, folder: Path, *, check: bool) -> list[str]:
    return [f"+ user {user}" for user in authorizer.lacking_users(folder)] if check else authorizer.make_users(folder)


def _form(hub: Hub) -> list[dict[str, Any]]:
    from samenloop.kafka.access import accesses, rights

    prefix = hub.kafka.prefix
    return [
        {
            "principal": access.principal,
            "user": principal_on_wire(prefix, access.principal),
            "what": access.what,
            "at_setup": access.at_setup,
            "rights": [
                {
                    "resource": right.resource.value,
                    "name": right.name,
                    "pattern": "prefix" if right.prefixed else "literal",
                    "operation": right.operation.value,
                }
                for right in rights(access, prefix)
            ],
        }
        for access in accesses(hub.sources).values()
    ]
