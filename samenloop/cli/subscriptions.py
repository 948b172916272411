"""`samenloop subscriptions add|list|pause|resume|test|rotate|end`."""

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
    from samenloop.subscription_life import Step
    from samenloop.subscriptions import Wish

Id = Annotated[UUID, Parameter(name="ID")]
ByAgreement = Annotated[bool, Parameter(negative=(), help="Do not ask the sink: its consent was given in another way.")]

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
    by_agreement: ByAgreement = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Subscribe a partner; its sink is asked for consent, and the secret that verifies its webhooks is shown.

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
    from samenloop import handshake, subscription_life

    wish = _wish(file, subscriber=subscriber, sink=sink, bbox=bbox, crs=crs, about=about, min_severity=min_severity)
    hub = hub_of(config)
    with reaching(hub):
        asked = handshake.AGREED if by_agreement else subscription_life.ask_now(hub, wish.sink, wish.rate_per_minute)
        subscription, secret = subscription_life.begin(hub, codec_of(hub), wish, asked, now=clock.now())
    if json:
        emit({**_fields(subscription), "secret": secret})
        return 0 if subscription.status is SubscriptionStatus.ACTIVE else 1
    code = _tell_status(subscription)
    say(f"Secret to verify its webhooks with: {secret}")
    return code


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


def pause(id_: Id, /, *, config: Config = None) -> None:
    """Hold back a subscription's alerts: they wait for 29 days at most.

    Parameters
    ----------
    id_
        Its id, as `samenloop subscriptions list` shows it.
    """
    paused = _step(config, id_, "pause")
    say(f"Subscription {paused.id} of {paused.subscriber_oin} is paused: its alerts wait.")


def resume(id_: Id, /, *, by_agreement: ByAgreement = False, config: Config = None) -> int:
    """Ask the sink for its consent again, and go on with what waited.

    Parameters
    ----------
    id_
        Its id, as `samenloop subscriptions list` shows it.
    """
    resumed = _step(config, id_, "resume", by_agreement=by_agreement)
    return _tell_status(resumed)


def test(id_: Id, /, *, config: Config = None) -> None:
    """Send a test alert: reason TEST, with a number like any other.

    Parameters
    ----------
    id_
        Its id, as `samenloop subscriptions list` shows it.
    """
    asked = _step(config, id_, "test")
    say(f"A test alert is on its way to {asked.sink}.")


def rotate(id_: Id, /, *, config: Config = None, json: Json = False) -> None:
    """Give a subscription a new secret; webhooks are signed with the one before as well, until the next rotation.

    Parameters
    ----------
    id_
        Its id, as `samenloop subscriptions list` shows it.
    """
    from samenloop import webhooks

    rotated = _step(config, id_, "rotate")
    key = webhooks.read_master_key(hub_of(config).delivery)
    secret = webhooks.secrets_of(key, rotated.id, rotated.secret_ref)[0]
    if json:
        emit({**_fields(rotated), "secret": secret})
    else:
        say(f"New secret of subscription {rotated.id}: {secret}")


def end(id_: Id, /, *, config: Config = None) -> None:
    """End a subscription; what is still due is not sent.

    Parameters
    ----------
    id_
        Its id, as `samenloop subscriptions list` shows it.
    """
    ended = _step(config, id_, "end")
    say(f"Subscription {ended.id} of {ended.subscriber_oin} has ended.")


def _step(config: Path | None, id_: UUID, step: Step, *, by_agreement: bool = False) -> Subscription:
    from samenloop import subscription_life

    hub = hub_of(config)
    with reaching(hub):
        codec = codec_of(hub)
        consent = None
        if step == "resume" and not by_agreement:
            found = subscription_life.find(hub, codec, id_)
            subscription_life.taken(found, step, now=clock.now())  # what is not allowed is said before anyone is asked
            consent = subscription_life.ask_now(hub, found.sink, found.rate_per_minute)
        return subscription_life.change(hub, codec, id_, step, now=clock.now(), consent=consent)


def _tell_status(subscription: Subscription) -> int:
    """Say whether the sink consented; exit code 1 when it did not."""
    if subscription.status is SubscriptionStatus.ACTIVE:
        say(f"Subscription {subscription.id} of {subscription.subscriber_oin} sends to {subscription.sink}.")
        return 0
    say(
        f"Subscription {subscription.id} of {subscription.subscriber_oin} waits: {subscription.sink} did not consent "
        f"({subscription.status_reason}). It must answer OPTIONS with WebHook-Allowed-Origin; then "
        f"`samenloop subscriptions resume {subscription.id}` asks again."
    )
    return 1


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
