"""`samenloop partners add|list|mandate|revoke` and `samenloop partners key add|list|revoke`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table
from samenloop.model import ApiKey, Clearance, Partner

Oin = Annotated[str, Parameter(name="OIN")]


def add(
    oin: Oin,
    name: Annotated[str, Parameter(name="NAME")],
    /,
    *,
    clearance: Literal["PUBLIC", "PARTNERS"] = "PARTNERS",
    config: Config = None,
    json: Json = False,
) -> None:
    """Admit a partner, or a revoked one again; its API key is shown this once.

    Parameters
    ----------
    oin
        Number of the organisation, 20 digits.
    name
        Name of the organisation.
    clearance
        What it may see of others' plans.
    """
    from samenloop.partners import add_partner

    hub = hub_of(config)
    with reaching(hub):
        partner, key = add_partner(hub, codec_of(hub), oin, name, clearance=Clearance(clearance), now=clock.now())
    if json:
        emit({**_fields(partner), "api_key": key})
    else:
        say(f"{partner.name} ({partner.oin}) takes part and may see {partner.clearance.lower()} plans of others.")
        say(f"API key, shown only now: {key}")


def list_(*, config: Config = None, json: Json = False) -> None:
    """Show the partners, revoked ones too."""
    from samenloop.partners import read_partners

    hub = hub_of(config)
    with reaching(hub):
        partners = sorted(read_partners(hub, codec_of(hub)).values(), key=lambda partner: partner.name)
    if json:
        emit([_fields(partner) for partner in partners])
    elif not partners:
        say("Nobody takes part yet. `samenloop partners add OIN NAME` admits a partner.")
    else:
        rows = [(x.oin, x.name, x.clearance, x.status, f"{x.updated_at:%Y-%m-%d %H:%M}") for x in partners]
        table(("OIN", "NAME", "MAY SEE", "STATUS", "CHANGED (UTC)"), rows)


def revoke(oin: Oin, /, *, config: Config = None) -> None:
    """End a partner's access: its keys are dropped, and nothing is sent to it any more.

    Parameters
    ----------
    oin
        Number of the organisation.
    """
    from samenloop.partners import revoke_partner

    hub = hub_of(config)
    with reaching(hub):
        partner = revoke_partner(hub, codec_of(hub), oin, now=clock.now())
    say(f"{partner.name} ({partner.oin}) no longer has access.")


def mandate(
    oin: Oin, /, *owners: Annotated[str, Parameter(name="OWNER")], config: Config = None, json: Json = False
) -> None:
    """Say for which other owners a partner may send plans; without any, for itself only.

    Parameters
    ----------
    oin
        Number of the organisation.
    owners
        Numbers of owners, or `any`.
    """
    from samenloop.partners import set_mandate

    hub = hub_of(config)
    with reaching(hub):
        partner = set_mandate(hub, codec_of(hub), oin, owners, now=clock.now())
    if json:
        emit(_fields(partner))
    else:
        say(f"{partner.name} ({partner.oin}) may send plans of {', '.join(('itself', *partner.mandate))}.")


def key_add(
    oin: Oin,
    /,
    *,
    scope: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    label: str | None = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Give a partner another API key; it is shown this once.

    Parameters
    ----------
    oin
        Number of the organisation.
    scope
        What it may be used for: plans:write, read, subscriptions, dead-letters; repeatable. All when none is given.
    label
        Where it is used, such as `planning system`; never a person.
    """
    from samenloop.partners import add_key

    hub = hub_of(config)
    with reaching(hub):
        key, text = add_key(hub, codec_of(hub), oin, scopes=scope, label=label, now=clock.now())
    if json:
        emit({**_key(key), "oin": oin, "api_key": text})
    else:
        say(f"Key {_key(key)['key']} of {oin} may be used for {', '.join(key.scopes)}.")
        say(f"API key, shown only now: {text}")


def key_list(oin: Oin, /, *, config: Config = None, json: Json = False) -> None:
    """Show a partner's API keys: what each may be used for, never the key itself.

    Parameters
    ----------
    oin
        Number of the organisation.
    """
    from samenloop.partners import find_partner, keys_of

    hub = hub_of(config)
    with reaching(hub):
        keys = keys_of(find_partner(hub, codec_of(hub), oin))
    if json:
        emit([_key(key) for key in keys])
    elif not keys:
        say(f"{oin} has no API key. `samenloop partners key add {oin}` makes one.")
    else:
        rows = [(_key(x)["key"], ", ".join(x.scopes), f"{x.created_at:%Y-%m-%d %H:%M}", x.label or "-") for x in keys]
        table(("KEY", "SCOPES", "MADE (UTC)", "LABEL"), rows)


def key_revoke(oin: Oin, key: Annotated[str, Parameter(name="KEY")], /, *, config: Config = None) -> None:
    """End one API key of a partner; within a second or two the hub refuses it.

    Parameters
    ----------
    oin
        Number of the organisation.
    key
        The key's name in the list, or its first characters (six or more).
    """
    from samenloop.partners import key_id, revoke_key

    hub = hub_of(config)
    with reaching(hub):
        gone = revoke_key(hub, codec_of(hub), oin, key, now=clock.now())
    say(f"Key {key_id(gone.hash)} of {oin} is refused from now on.")


def _key(key: ApiKey) -> dict[str, object]:
    from samenloop.partners import key_id

    return {"key": key_id(key.hash), "scopes": list(key.scopes), "created_at": key.created_at, "label": key.label}


def _fields(partner: Partner) -> dict[str, object]:
    """Return what may be shown of a partner: all but its key hashes."""
    return {
        "oin": partner.oin,
        "name": partner.name,
        "clearance": partner.clearance,
        "status": partner.status,
        "mandate": list(partner.mandate),
        "created_at": partner.created_at,
        "updated_at": partner.updated_at,
    }
