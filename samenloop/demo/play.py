"""Plays the invented region through a real hub: Kafka, registry, every part in a process of its own, and a partner.

Twelve weeks of exports fall into the folders that the sources poll; each week waits until the hub has read it all. The
partner's receiver is down for a while in the middle. In the end what the hub holds and told is compared with what the
batch oracle expects. Nothing outlives the process that plays.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from samenloop import clock
from samenloop.contract import TOPICS, Codec
from samenloop.contract.registry import register_schemas
from samenloop.demo import story
from samenloop.demo.expected import Told, expected_alerts, missing, truth
from samenloop.demo.region import GEMEENTE, RECEIVER_DOWN, TOWN, WEEKS, monday
from samenloop.demo.screen import Screen
from samenloop.demo.watch import View, Watch
from samenloop.demo.workplace import EXPORTS, SETTINGS, drop, furnish
from samenloop.errors import SamenloopError
from samenloop.kafka import apply_topics
from samenloop.localstack import LocalStack
from samenloop.model import AlertReason, Conflict, Opportunity
from samenloop.notify import FIRST_LOAD
from samenloop.oracle import batch_findings, differences
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.rules import Language, Rules, load_rules
from samenloop.settings import Hub, load_hub
from samenloop.subscription_life import ask_now, begin
from samenloop.subscriptions import wish_of
from samenloop.supervisor import Part, Supervisor, stop_on_signals

DONE, FAILED, INTERRUPTED = 0, 1, 130
_WEEK_SECONDS, _END_SECONDS = 90.0, 120.0


class _Stopped(Exception):
    """Somebody wants it to end before it is over."""


@dataclass(slots=True)
class Cast:
    """Everything that is there while it plays."""

    folder: Path
    hub: Hub
    codec: Codec
    rules: Rules
    receiver: Receiver
    supervisor: Supervisor
    screen: Screen
    language: Language
    broker_up: datetime
    stopping: threading.Event = field(default_factory=threading.Event)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    """What the parts said last, for when something goes wrong."""


def play(folder: Path, parts_of: Callable[[Hub, Path], Sequence[Part]], *, once: bool, language: Language) -> int:
    """Play in the empty *folder*; return 0, or 1 when not everything came as expected (*once*), 130 when interrupted.

    *parts_of* gives the processes of a hub. Without *once* it stays up until a signal. Raises BadSettings and Retry
    when it cannot begin.
    """
    with Screen() as screen, LocalStack(folder / "local", tell=screen.say) as stack, Receiver() as receiver:
        broker_up = clock.now()
        screen.say(f"Kafka at {stack.bootstrap}, schema registry at {stack.registry_url}")
        settings = furnish(folder, bootstrap=stack.bootstrap, registry_url=stack.registry_url)
        hub = load_hub(settings, {})
        topics = _prepare(hub)
        screen.say(f"Schemas registered, {topics} topics made; the hub starts")
        codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix, host=hub.hub.schema_host)
        said: deque[str] = deque(maxlen=40)
        supervisor = Supervisor(parts_of(hub, settings), tell=lambda name, line: said.append(f"{name} | {line}"))
        rules = load_rules(hub.hub.rules)
        cast = Cast(folder, hub, codec, rules, receiver, supervisor, screen, language, broker_up, said=said)
        return asyncio.run(_run(cast, once=once))


def _prepare(hub: Hub) -> int:
    """Register the schemas and make the topics, both at once; return how many topics there are."""
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(register_schemas, hub.registry.url, hub.kafka.prefix), pool.submit(apply_topics, hub.kafka)]
        for one in both:
            one.result()
    return len(TOPICS)


def _subscribe(cast: Cast) -> None:
    """Admit the municipality and subscribe it to the whole town."""
    hub, codec, (oin, name) = cast.hub, cast.codec, GEMEENTE
    add_partner(hub, codec, oin, name, now=clock.now())
    area = {"bbox": TOWN, "crs": "EPSG:28992"}
    wish = wish_of({"subscriber": oin, "sink": cast.receiver.url, "area": area})
    _, cast.receiver.secret = begin(hub, codec, wish, ask_now(hub, wish.sink), now=clock.now())
    cast.screen.say(f"{name} is told at {cast.receiver.url} of what concerns the town")


async def _run(cast: Cast, *, once: bool) -> int:
    """Keep the parts running here, in the thread they are tied to, while the play goes on in another."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    await stop_on_signals(stop)

    async def relay() -> None:
        await stop.wait()
        cast.stopping.set()

    def act() -> int:
        code = FAILED
        try:
            code = _act(cast)
            if code == DONE and not once:
                _addresses(cast)
        finally:
            if once or code != DONE:
                loop.call_soon_threadsafe(stop.set)
        return code

    relaying = asyncio.create_task(relay())
    acting = asyncio.create_task(asyncio.to_thread(act))
    refused = await cast.supervisor.run(stop)
    code = await acting
    relaying.cancel()
    if refused:
        cast.screen.say(f"These parts refused to start: {', '.join(cast.supervisor.refused)}", "red")
    if code == FAILED:
        for line in cast.said:
            cast.screen.say(line, "dim")
    return refused or code


def _act(cast: Cast) -> int:
    """Play all weeks, tell what was found, and say whether it is what was expected."""
    watch = Watch(cast.hub, cast.codec)
    try:
        _subscribe(cast)
        for week in range(1, WEEKS + 1):
            _week(cast, watch, week)
        problems = _conclude(cast, watch)
        cast.screen.still()
        _tell(cast, watch.view)
    except _Stopped:
        return INTERRUPTED
    except SamenloopError as error:
        problems = [str(error)]
    finally:
        watch.close()
    for problem in problems:
        cast.screen.say(f"NOT AS EXPECTED: {problem}", "red")
    return FAILED if problems else DONE


def _week(cast: Cast, watch: Watch, week: int) -> None:
    """Let one week's exports fall, wait until the hub has read them, and say what they brought."""
    screen, view = cast.screen, watch.view
    if week == RECEIVER_DOWN[0]:
        cast.receiver.down = True
        screen.say(f"  ! The receiver of {GEMEENTE[1]} goes down; its alerts wait.", "yellow")
    if week == RECEIVER_DOWN[1]:
        cast.receiver.down = False
        screen.say(f"  ! The receiver of {GEMEENTE[1]} is back; it gets what it missed.", "yellow")
    before = dict(view.findings)
    drop(cast.folder, week)
    if not _wait(cast, watch, lambda: watch.settled(week), _WEEK_SECONDS):
        screen.say(f"Week {week} was not read within {_WEEK_SECONDS:.0f} s; it goes on.", "red")
    conflicts = sum(isinstance(finding, Conflict) for finding in view.open())
    screen.say(
        f"Week {week:2} · {monday(week):%d-%m-%Y} · {view.states} plan states · {conflicts} conflicts and "
        f"{len(view.open()) - conflicts} opportunities open · {len(view.alerts)} alerts, {view.delivered()} delivered",
        "bold",
    )
    for name, source in view.sources.items():
        for at, detail in source.alarms:
            if at == week:
                screen.say(f"  ! {name}: its export is refused, nothing is removed: {detail}", "red")
    for line in story.news(before, list(view.findings.values()), view.plans, cast.language, cast.rules):
        screen.say(line)


def _wait(cast: Cast, watch: Watch, done: Callable[[], bool], seconds: float) -> bool:
    """Keep watching until *done*; False when it takes too long. Raises _Stopped."""
    deadline = time.monotonic() + seconds
    while True:
        watch.look()
        cast.screen.show(watch.view, cast.supervisor.status, down=cast.receiver.down)
        if cast.stopping.is_set():
            raise _Stopped
        if done():
            return True
        if time.monotonic() > deadline:
            return False
        cast.stopping.wait(0.1)


def _conclude(cast: Cast, watch: Watch) -> list[str]:
    """Wait until all is as expected, and return what is not."""
    wanted = expected_alerts(cast.folder, cast.rules, GEMEENTE[0])
    *_, (plans, _) = truth(cast.folder, cast.rules)

    def problems() -> list[str]:
        view = watch.view
        oracle = batch_findings(plans, cast.rules, monday(WEEKS), revisions=view.revisions)
        return [*_undelivered(cast, view), *_untold(view, wanted), *differences(view.open(), oracle)]

    _wait(cast, watch, lambda: not problems(), _END_SECONDS)
    return problems()


def _undelivered(cast: Cast, view: View) -> list[str]:
    """Every alert has exactly one final receipt, and the receiver has it."""
    final, had = view.final(), cast.receiver.ids
    lines = []
    for alert_id, alert in view.alerts.items():
        if final[alert_id] != 1:
            lines.append(f"alert {alert.sequence} ({alert.event_type}) has {final[alert_id]} final receipts")
        elif str(alert_id) not in had:
            lines.append(f"alert {alert.sequence} ({alert.event_type}) has a receipt, but the receiver lacks it")
    return lines


def _untold(view: View, wanted: Sequence[Told]) -> list[str]:
    alerts = sorted(view.alerts.values(), key=lambda alert: alert.sequence)
    lines = [
        f"no alert said {reason.value} of {subject}"
        for subject, reason in missing(
            wanted, [(alert.subject_id, alert.reason) for alert in alerts if alert.reason is not AlertReason.CHANGED]
        )
    ]
    if not any(alert.event_type == FIRST_LOAD for alert in alerts):
        lines.append("no summary was told of the first week")
    return lines


def _tell(cast: Cast, view: View) -> None:
    """Say in plain words what was found, and what came of it."""
    say, heads = cast.screen.say, story.heads(cast.language)
    for title, kind in (("conflicts", Conflict), ("chances", Opportunity)):
        say()
        say(heads[title], "bold")
        found = story.ordered([finding for finding in view.open() if isinstance(finding, kind)])
        for finding in found:
            say()
            for line in story.told(finding, view.plans, cast.language, cast.rules):
                say(line)
        if not found:
            say(f"   {heads['none']}")
    messages = cast.receiver.messages
    say()
    receiver = cast.receiver
    say(
        f"{len(view.alerts)} alerts, {view.delivered()} delivered; the receiver holds {len(receiver.ids)} different "
        f"ones, each with a good signature, and refused {receiver.refused}."
    )
    if messages:
        first = (messages[0].at - cast.broker_up).total_seconds()
        say(f"The first alert arrived {first:.0f} s after the broker was up.")


def _addresses(cast: Cast) -> None:
    """Say where everything is while it stays up."""
    say = cast.screen.say
    say()
    say("Everything stays up until Ctrl-C:", "bold")
    say(f"  Kafka            {cast.hub.kafka.bootstrap_servers} (topics begin with {cast.hub.kafka.prefix})")
    say(f"  schema registry  {cast.hub.registry.url}")
    say(f"  receiver         {cast.receiver.url}")
    say(f"  settings         {cast.folder / SETTINGS}")
    for name in cast.hub.sources:
        say(f"  exports          {cast.folder / name / EXPORTS}")
    for name, status in cast.supervisor.status.items():
        say(f"  {name:16} {status.address}/metrics" if status.address else f"  {name:16} {status.state.value}")
