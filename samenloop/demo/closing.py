"""The end of the demonstration: is everything as expected, and what was found, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from samenloop.demo import permits, story
from samenloop.demo.cast import Cast, Stage
from samenloop.demo.expected import Told, expected_alerts, missing, truth, visible
from samenloop.demo.feed import RoadFeed
from samenloop.demo.puller import Puller
from samenloop.demo.pusher import Pusher
from samenloop.demo.region import GEMEENTE, NETBEHEERDER, OFFLINE, WATERSCHAP, WEEKS, monday
from samenloop.demo.roads import ROADS
from samenloop.demo.watch import View
from samenloop.demo.workplace import EXPORTS, SETTINGS
from samenloop.localstack.prometheus import monitoring_folder
from samenloop.model import AlertReason, Conflict, Opportunity, Phase, Plan
from samenloop.notify import FIRST_LOAD
from samenloop.oracle import batch_findings, differences

PAGES = (
    ("/systems", "the IT systems in use, and how their feeds are doing"),
    ("/docs", "what partners' systems can do"),
)  # fmt: skip
"""Pages of the hub for a browser, and what each shows."""


def verdict(cast: Cast, stage: Stage) -> Callable[[], list[str]]:
    """Return what says, whenever it is asked, what is not as expected (yet)."""
    wanted = expected_alerts(cast.folder, cast.rules, GEMEENTE[0])
    *_, (plans, _) = truth(cast.folder, cast.rules)

    def problems() -> list[str]:
        view = stage.watch.view
        oracle = batch_findings(
            plans, cast.rules, monday(WEEKS), revisions=view.revisions, restrictions=permits.zones(WEEKS)
        )
        return [
            *_undelivered(cast, view),
            *_untold(view, wanted),
            *_taken_twice(stage.pusher, view),
            *_asked_in_vain(cast.feed),
            *_not_pulled(stage.puller, plans),
            *differences(view.open(), oracle),
        ]

    return problems


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


def _taken_twice(pusher: Pusher, view: View) -> list[str]:
    """A plan has as many revisions as there are different events of it: a repeated one made none."""
    events = Counter(report.plan_id for report in pusher.reports.values() if report.works is not None)
    return [
        f"{plan_id} has revision {view.revisions.get(plan_id, 0)} after {count} different events"
        for plan_id, count in events.items()
        if view.revisions.get(plan_id, 0) != count
    ]


def _asked_in_vain(feed: RoadFeed) -> list[str]:
    return [] if feed.unchanged else [f"{ROADS} was never asked with the tag of what was read before"]


def _not_pulled(puller: Puller, plans: Mapping[str, Plan]) -> list[str]:
    """Who asks for changes holds exactly the plans it may see, as they are now, and never heard of another."""
    seen = visible(plans, NETBEHEERDER[0])
    wanted = {key: (plan.title, plan.phase.value, *_period(plan)) for key, plan in seen.items()}
    if _held(puller) != wanted:
        puller.pull()
    held, hidden = _held(puller), plans.keys() - seen.keys()
    lines = [f"{key} is not as it should be at {NETBEHEERDER[1]}" for key in wanted if held.get(key) != wanted[key]]
    lines += [f"{key} is still held at {NETBEHEERDER[1]}" for key in held.keys() - wanted.keys()]
    return [*lines, *(f"{key} was told to {NETBEHEERDER[1]}, which may not see it" for key in puller.told & hidden)]


def _period(plan: Plan) -> tuple[str | None, str | None]:
    start, end = (day.isoformat() if day else None for day in (plan.period.start, plan.period.end))
    return start, end


def _held(puller: Puller) -> dict[str, tuple[str | None, ...]]:
    """Return the gist of what is held; works whose export left them out after their end are over, and expected gone."""
    found: dict[str, tuple[str | None, ...]] = {}
    for key, plan in puller.plans.items():
        if plan.get("phase") != Phase.COMPLETED:
            period = plan.get("period", {})
            found[key] = (plan["title"], plan.get("phase", Phase.UNKNOWN.value), period.get("start"), period.get("end"))
    return found


def tell(cast: Cast, stage: Stage) -> None:
    """Say in plain words what was found, and what came of it."""
    say, heads, view = cast.screen.say, story.heads(cast.language), stage.watch.view
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
    say()
    for line in _exchanged(cast, stage):
        say(line)
    messages = cast.receiver.messages
    if messages:
        first = (messages[0].at - cast.broker_up).total_seconds()
        say(f"The first alert arrived {first:.0f} s after the broker was up.")


def _exchanged(cast: Cast, stage: Stage) -> list[str]:
    """Return a line for each way in which systems exchanged by themselves."""
    receiver, feed, view = cast.receiver, cast.feed, stage.watch.view
    pusher, puller = stage.pusher, stage.puller
    return [
        f"Alerted: {len(view.alerts)} alerts, {view.delivered()} delivered; the receiver of {GEMEENTE[1]} holds "
        f"{len(receiver.ids)} different ones, each with a good signature, and refused {receiver.refused}.",
        f"Pushed:  {WATERSCHAP[1]} sent {len(pusher.reports)} reports of urgent works, {pusher.batched} of them in a "
        f"batch, and {pusher.repeated} once more, which changed nothing.",
        f"Zones:   {GEMEENTE[1]} pushed {stage.permits.accepted} decisions on zones, which everyone can read at "
        f"{cast.edge_url}/v1/collections/restrictions/items.",
        f"Polled:  {ROADS} was asked {feed.given + feed.unchanged} times; {feed.given} answers held a publication, "
        f"{feed.unchanged} were 304 (not modified).",
        f"Pulled:  {NETBEHEERDER[1]} caught up: {puller.caught_up} changes after {OFFLINE[1] - OFFLINE[0]} weeks "
        f"offline; it holds the {len(_held(puller))} current plans that it may see.",
    ]


def addresses(cast: Cast) -> None:
    """Say where everything is while it stays up."""
    say = cast.screen.say
    say()
    say("Everything stays up until Ctrl-C. In a browser:", "bold")
    for path, shows in PAGES:
        say(f"  {cast.edge_url + path:40} {shows}")
    say("And for machines:", "bold")
    say(f"  partners' API    {cast.edge_url}/v1")
    say(f"  Kafka            {cast.hub.kafka.bootstrap_servers} (topics begin with {cast.hub.kafka.prefix})")
    say(f"  schema registry  {cast.hub.registry.url}")
    say(f"  receiver         {cast.receiver.url}")
    say(f"  road feed        {cast.feed.url}")
    say(f"  settings         {cast.folder / SETTINGS}")
    for name, source in cast.hub.sources.items():
        if source.connector == "file-snapshots":
            say(f"  exports          {cast.folder / name / EXPORTS}")
    for name, status in cast.supervisor.status.items():
        say(f"  {name:16} {status.address}/metrics" if status.address else f"  {name:16} {status.state.value}")
    say("For operators:", "bold")
    for line in _operators(cast):
        say(f"  {line}")


def _operators(cast: Cast) -> list[str]:
    if cast.prometheus is None:
        return ["no Prometheus on this machine: `make prometheus` fetches Debian's, then start the demo again"]
    dashboards = monitoring_folder() / "grafana" / "dashboards"
    return [
        f"Prometheus       {cast.prometheus.url} (what fires: {cast.prometheus.url}/alerts)",
        f"dashboards       {dashboards}/*.json: in your Grafana, add a Prometheus data source with that address",
        "                 (Connections > Data sources), then import the files (Dashboards > New > Import)",
    ]
