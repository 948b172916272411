"""`samenloop partners add|list|revoke`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table
from samenloop.model import Clearance, Partner

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


def _fields(partner: Partner) -> dict[str, object]:
    """Return what may be shown of a partner: all but its key hashes."""
    return {
        "oin": partner.oin,
        "name": partner.name,
        "clearance": partner.clearance,
        "status": partner.status,
        "created_at": partner.created_at,
        "updated_at": partner.updated_at,
    }
