"""Plays the invented region through a real hub: Kafka, registry, every part in a process of its own, and partners.

Twelve weeks of exports fall into the folders that the sources poll, urgent works are pushed to the hub, a road register
is polled; each week waits until the hub has read it all. One partner's receiver is down for a while in the middle, and
another's system, which asks for changes, is offline. In the end what the hub holds and told is compared with what the
batch oracle expects. Nothing outlives the process that plays.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from samenloop import clock
from samenloop.contract import TOPICS, Codec
from samenloop.contract.registry import register_schemas
from samenloop.demo import closing, story
from samenloop.demo.cast import Cast, Stage
from samenloop.demo.client import HubClient
from samenloop.demo.feed import RoadFeed
from samenloop.demo.puller import Puller
from samenloop.demo.pusher import PermitDesk, Pusher
from samenloop.demo.region import GEMEENTE, NETBEHEERDER, OFFLINE, RECEIVER_DOWN, TOWN, WATERSCHAP, WEEKS, monday
from samenloop.demo.roads import ROADS, publication
from samenloop.demo.screen import Screen
from samenloop.demo.watch import Watch
from samenloop.demo.workplace import drop, furnish
from samenloop.errors import SamenloopError
from samenloop.kafka import apply_topics
from samenloop.localstack import LocalStack
from samenloop.localstack.ports import free_ports
from samenloop.localstack.prometheus import Prometheus, monitoring_folder, program
from samenloop.model import Conflict
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.rules import Language, load_rules
from samenloop.settings import Hub, load_hub
from samenloop.subscription_life import ask_now, begin
from samenloop.subscriptions import wish_of
from samenloop.supervisor import Part, Status, Supervisor, stop_on_signals

DONE, FAILED, INTERRUPTED = 0, 1, 130
_WEEK_SECONDS, _END_SECONDS = 90.0, 120.0


class _Stopped(Exception):
    """Somebody wants it to end before it is over."""


def play(folder: Path, parts_of: Callable[[Hub, Path], Sequence[Part]], *, once: bool, language: Language) -> int:
    """Play in the empty *folder*; return 0, or 1 when not everything came as expected (*once*), 130 when interrupted.

    *parts_of* gives the processes of a hub. Without *once* it stays up until a signal. Raises BadSettings and Retry
    when it cannot begin.
    """
    with (
        Screen() as screen,
        LocalStack(folder / "local", brief=once, tell=screen.say) as stack,
        Receiver() as receiver,
        RoadFeed() as feed,
        _prometheus(folder) as prometheus,
    ):
        broker_up = clock.now()
        screen.say(f"Kafka at {stack.bootstrap}, schema registry at {stack.registry_url}")
        (port,) = free_ports(1)
        settings = furnish(
            folder, bootstrap=stack.bootstrap, registry_url=stack.registry_url, feed_url=feed.url, edge_port=port
        )
        hub = load_hub(settings, {})
        topics = _prepare(hub)
        screen.say(f"Schemas registered, {topics} topics made; the hub starts")
        codec = Codec.from_registry(hub.registry, hub.kafka.prefix, host=hub.hub.schema_host)
        said: deque[str] = deque(maxlen=40)

        def changed(name: str, status: Status) -> None:
            if prometheus is not None:
                prometheus.watch({name: status.address})

        supervisor = Supervisor(
            parts_of(hub, settings), tell=lambda name, line: said.append(f"{name} | {line}"), changed=changed
        )
        rules = load_rules(hub.hub.rules)
        cast = Cast(
            folder, hub, codec, rules, receiver, feed, supervisor, screen, language, broker_up, prometheus, said=said
        )
        return asyncio.run(_run(cast, once=once))


@contextmanager
def _prometheus(folder: Path) -> Iterator[Prometheus | None]:
    """Run a Prometheus over the hub where this machine has one."""
    binary = program("prometheus")
    if binary is None:
        yield None
        return
    rules = monitoring_folder() / "prometheus" / "rules.yaml"
    with Prometheus(binary, folder / "prometheus", rules=rules) as prometheus:
        yield prometheus


def _prepare(hub: Hub) -> int:
    """Register the schemas and make the topics, both at once; return how many topics there are."""
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(register_schemas, hub.registry, hub.kafka.prefix), pool.submit(apply_topics, hub.kafka)]
        for one in both:
            one.result()
    return len(TOPICS)


def _admit(cast: Cast) -> tuple[Pusher, PermitDesk, Puller]:
    """Admit the partners, subscribe the municipality to the whole town, return the systems that push and pull."""
    hub, codec, (oin, name) = cast.hub, cast.codec, GEMEENTE
    _, desk_key = add_partner(hub, codec, oin, name, now=clock.now())
    area = {"bbox": TOWN, "crs": "EPSG:28992"}
    wish = wish_of({"subscriber": oin, "sink": cast.receiver.url, "area": area})
    _, cast.receiver.secret = begin(hub, codec, wish, ask_now(hub, wish.sink), now=clock.now())
    cast.screen.say(f"{name} is told at {cast.receiver.url} of what concerns the town, and pushes zones")
    _, push_key = add_partner(hub, codec, *WATERSCHAP, now=clock.now())
    cast.screen.say(f"{WATERSCHAP[1]} pushes urgent works to {cast.edge_url}/v1/events")
    _, pull_key = add_partner(hub, codec, *NETBEHEERDER, now=clock.now())
    cast.screen.say(f"{NETBEHEERDER[1]} asks {cast.edge_url}/v1/changes what is new")
    push, desk, pull = (HubClient(cast.edge_url, key, cast.stopping) for key in (push_key, desk_key, pull_key))
    return Pusher(push), PermitDesk(desk), Puller(pull)


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
                closing.addresses(cast)
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
    stage = None
    try:
        stage = Stage(watch, *_admit(cast))
        for week in range(1, WEEKS + 1):
            _week(cast, stage, week)
        problems = _conclude(cast, stage)
        cast.screen.still()
        closing.tell(cast, stage)
    except _Stopped:
        return INTERRUPTED
    except SamenloopError as error:
        if cast.stopping.is_set():
            return INTERRUPTED
        problems = [str(error)]
    finally:
        (stage or watch).close()
    for problem in problems:
        cast.screen.say(f"NOT AS EXPECTED: {problem}", "red")
    return FAILED if problems else DONE


def _week(cast: Cast, stage: Stage, week: int) -> None:
    """Let one week happen, wait until the hub has read it all, and say what it brought."""
    screen, watch, view = cast.screen, stage.watch, stage.watch.view
    if week == RECEIVER_DOWN[0]:
        cast.receiver.down = True
        screen.say(f"  ! The receiver of {GEMEENTE[1]} goes down; its alerts wait.", "yellow")
    if week == RECEIVER_DOWN[1]:
        cast.receiver.down = False
        screen.say(f"  ! The receiver of {GEMEENTE[1]} is back; it gets what it missed.", "yellow")
    if week == OFFLINE[0]:
        screen.say(f"  ! The system of {NETBEHEERDER[1]} goes offline and asks for nothing.", "yellow")
    before = dict(view.findings)
    _happen(cast, stage, week)
    if not _wait(
        cast,
        stage,
        lambda: watch.settled(week, pushed=stage.pusher.accepted, zones=stage.permits.accepted),
        _WEEK_SECONDS,
    ):
        screen.say(f"Week {week} was not read within {_WEEK_SECONDS:.0f} s; it goes on.", "red")
    _pull(cast, stage, week)
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


def _happen(cast: Cast, stage: Stage, week: int) -> None:
    """Let exports fall, the road register publish, and reports be pushed, each where *week* has any."""
    drop(cast.folder, week)
    if body := publication(week):
        cast.feed.publish(body, week)
        cast.screen.say(f"  ~ {ROADS} has a new publication.", "dim")
    if pushed := stage.pusher.push(week):
        cast.screen.say(f"  > {WATERSCHAP[1]} pushed {pushed}.", "dim")
    if zone := stage.permits.push(week):
        cast.screen.say(f"  > {GEMEENTE[1]} pushed {zone}.", "dim")


def _pull(cast: Cast, stage: Stage, week: int) -> None:
    """Let the network operator's system ask for changes, unless it is offline."""
    if OFFLINE[0] <= week < OFFLINE[1]:
        return
    count = stage.puller.pull()
    if week == OFFLINE[1]:
        stage.puller.caught_up = count
        cast.screen.say(f"  ! The system of {NETBEHEERDER[1]} is back and reads {count} changes.", "yellow")


def _wait(cast: Cast, stage: Stage, done: Callable[[], bool], seconds: float) -> bool:
    """Keep watching until *done*; False when it takes too long. Raises _Stopped."""
    deadline = time.monotonic() + seconds
    while True:
        stage.watch.look()
        cast.screen.show(stage.watch.view, cast.supervisor.status, down=cast.receiver.down)
        if cast.stopping.is_set():
            raise _Stopped
        if done():
            return True
        if time.monotonic() > deadline:
            return False
        cast.stopping.wait(0.1)


def _conclude(cast: Cast, stage: Stage) -> list[str]:
    """Wait until all is as expected, and return what is not."""
    problems = closing.verdict(cast, stage)
    _wait(cast, stage, lambda: not problems(), _END_SECONDS)
    return problems()
