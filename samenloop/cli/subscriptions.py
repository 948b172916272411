"""`samenloop subscriptions add|list|end`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table
from samenloop.errors import BadSettings
from samenloop.model import Subscription, SubscriptionStatus

if TYPE_CHECKING:
    from samenloop.subscriptions import Wish

_SHOWN = ("id", "status", "status_reason", "subscriber_oin", "sink", "types", "kinds", "roles", "digest", "language")


def add(
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    subscriber: str | None = None,
    sink: str | None = None,
    bbox: Annotated[tuple[float, float, float, float] | None, Parameter(name="--bbox", negative=())] = None,
    crs: str | None = None,
    about: Annotated[list[str] | None, Parameter(negative=())] = None,
    min_severity: str | None = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Subscribe a partner; the secret that verifies its webhooks is shown.

    Parameters
    ----------
    file
        A YAML file with everything a subscription can say; or use the options.
    subscriber
        OIN of the partner.
    sink
        Address (https) that takes the alerts.
    bbox
        Only what touches this box: min x, min y, max x, max y.
    crs
        CRS of the box, such as EPSG:28992; without it, longitude and latitude.
    about
        conflicts, opportunities or plans; may be repeated; all when left out.
    min_severity
        INFO, WARNING or BLOCKING: least severity of a conflict.
    """
    from samenloop.subscriptions import add_subscription

    wish = _wish(file, subscriber=subscriber, sink=sink, bbox=bbox, crs=crs, about=about, min_severity=min_severity)
    hub = hub_of(config)
    with reaching(hub):
        subscription, secret = add_subscription(hub, codec_of(hub), wish, now=clock.now())
    if json:
        emit({**_fields(subscription), "secret": secret})
    else:
        say(f"Subscription {subscription.id} of {subscription.subscriber_oin} sends to {subscription.sink}.")
        say(f"Secret to verify its webhooks with: {secret}")


def list_(*, config: Config = None, json: Json = False) -> None:
    """Show the subscriptions, ended ones too."""
    from samenloop.subscriptions import read_subscriptions

    hub = hub_of(config)
    with reaching(hub):
        subscriptions = read_subscriptions(hub, codec_of(hub)).values()
    found = sorted(subscriptions, key=lambda x: (x.subscriber_oin, x.created_at))
    if json:
        emit([_fields(subscription) for subscription in found])
    elif not found:
        say("Nobody is subscribed yet. `samenloop subscriptions add FILE` subscribes a partner.")
    else:
        rows = [(x.id, x.subscriber_oin, x.sink, _status(x), x.digest.lower()) for x in found]
        table(("ID", "SUBSCRIBER", "SENDS TO", "STATUS", "WHEN"), rows)


def end(id_: Annotated[UUID, Parameter(name="ID")], /, *, config: Config = None) -> None:
    """End a subscription; what is still due is not sent.

    Parameters
    ----------
    id_
        Its id, as `samenloop subscriptions list` shows it.
    """
    from samenloop.subscriptions import change_status

    hub = hub_of(config)
    with reaching(hub):
        ended = change_status(hub, codec_of(hub), id_, SubscriptionStatus.ENDED, now=clock.now())
    say(f"Subscription {ended.id} of {ended.subscriber_oin} has ended.")


def _wish(file: Path | None, **options: object) -> Wish:
    from samenloop.subscriptions import load_wish, wish_of

    given = {name: value for name, value in options.items() if value is not None}
    if file is not None and given:
        raise BadSettings([f"FILE and --{next(iter(given)).replace('_', '-')}: expected one or the other"])
    if file is not None:
        return load_wish(file)
    box, crs = given.pop("bbox", None), given.pop("crs", None)
    if crs is not None and box is None:
        raise BadSettings(["--crs: is the CRS of --bbox, which is missing"])
    if box is not None:
        given["area"] = {"bbox": box} | ({"crs": crs} if crs else {})
    return wish_of(given)


def _fields(subscription: Subscription) -> dict[str, object]:
    return {name: getattr(subscription, name) for name in _SHOWN}


def _status(subscription: Subscription) -> str:
    reason = f" ({subscription.status_reason})" if subscription.status_reason else ""
    return f"{subscription.status.lower()}{reason}"
