"""The overview of IT systems in use, for machines and for people."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from edge.read_model import SystemSeen
from edge.systems import Systems
from samenloop.contract import Codec
from samenloop.model import Contact, Organisation, SourceStatus, SystemState
from samenloop.source_health import System
from samenloop.stage import Record
from samenloop.systems_overview import Freshness, freshness_of
from tests.edge.scenes import KEY, Scene, make_scene

SYSTEM = "urn:nld:oin:00000099000000001002:systeem:projects"
AT = datetime(2026, 11, 24, tzinfo=UTC)
RETIRED = SystemState.RETIRED


def record(codec: Codec, name: str, offset: int = 0) -> Record:
    """Return the record of a system called *name*."""
    status = SourceStatus(
        system=SYSTEM, owner=Organisation("00000099000000001002", "Waterschap <De Wetering>"), name=name,
        connector="file-snapshots", protocol="HTTPS", freshness_objective_s=3600, observed_at=AT, last_success_at=AT,
        state=SystemState.RUNNING, contact=Contact("Servicedesk", "desk@wetering.example"),
    )  # fmt: skip
    return Record("sources", 0, offset, SYSTEM, codec.encode("sources", status), (), 0)


def told(scene: Scene, name: str) -> None:
    """Let the edge hear of a system."""
    scene.services.systems.hear([record(scene.codec, name)])


def test_partners_see_systems_and_whom_to_call(scene: Scene) -> None:
    """The record in the contract's form, with health in words; strangers get nothing by default."""
    told(scene, "Projectenlijst")
    answer = scene.client.get("/v1/sources?lang=en", headers={"Authorization": f"Bearer {KEY}"})
    stranger = scene.client.get("/v1/sources")

    (found,) = answer.json()["systems"]
    assert (found["system"], found["name"], found["state"]) == (SYSTEM, "Projectenlijst", "RUNNING")
    assert found["contact"]["unit"] == "Servicedesk"
    assert stranger.status_code == 401
    browser = scene.client.get("/systems", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "edge.public" in browser.text and "Projectenlijst" not in browser.text


def test_the_page_is_for_people_and_escapes_what_others_say() -> None:
    """Where the hub is public anyone may look, without contact points; nothing runs and nothing is from elsewhere."""
    scene = make_scene(public=True)
    told(scene, "<script>alert(1)</script>")

    page = scene.client.get("/systems")
    empty = make_scene(public=True).client.get("/systems?lang=en")

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "&lt;De Wetering&gt;" in page.text
    assert "desk@wetering.example" not in page.text
    assert empty.status_code == 200
    assert scene.client.get("/systems?lang=de").status_code == 400
    scene.services.close()


def test_a_system_that_sends_is_in_the_overview_as_well() -> None:
    """What the read model saw and nobody polls stands beside what is read; the hub's own probe is no system in use."""
    systems = Systems(Codec.offline(), "urn:nld:oin:00000099000000009999:systeem:probe")
    systems.hear([record(Codec.offline(), "Projectenlijst")])
    sends, late = (f"urn:nld:oin:00000099000000001003:systeem:{name}" for name in ("gis", "old"))
    own = "urn:nld:oin:00000099000000009999:systeem:probe"
    seen = [SystemSeen(name, AT, 7) for name in (SYSTEM, sends, own)] + [SystemSeen(late, AT - timedelta(days=40), 0)]

    found = {one.system: one for one in systems.statuses(seen, {"00000099000000001003": "Netbeheerder"}.get, AT)}

    assert set(found) == {SYSTEM, sends, late}
    assert found[SYSTEM].connector == "file-snapshots"
    assert (found[sends].name, found[sends].owner.name, found[sends].plans) == ("gis", "Netbeheerder", 7)
    assert [freshness_of(found[name], AT) for name in (sends, late)] == [Freshness.FRESH, Freshness.LATE]


def test_a_system_that_was_read_and_sends_now_is_one_that_sends() -> None:
    """What left the settings is retired until it sends by itself; what its last poll brought is not sent by it."""
    systems, codec = Systems(Codec.offline()), Codec.offline()
    retired = replace(codec.decode("sources", record(codec, "Projectenlijst").value or b"", ()), state=RETIRED)
    systems.hear([Record("sources", 0, 0, SYSTEM, codec.encode("sources", retired), (), 0)])
    later = AT + timedelta(days=2)

    before, after = (
        systems.statuses([SystemSeen(SYSTEM, at, 3)], {}.get, later)
        for at in (AT + timedelta(minutes=10), AT + timedelta(days=1))
    )

    assert [(one.state, one.connector) for one in before] == [(RETIRED, "file-snapshots")]
    (now,) = after
    assert (now.state, now.connector, now.plans) == (SystemState.RUNNING, "push", 3)
    assert (now.name, now.owner, now.contact) == (retired.name, retired.owner, retired.contact)
    assert freshness_of(now, later) is Freshness.FRESH


def test_what_the_settings_say_is_polled_where_no_view_tells_of_it() -> None:
    """A hub without the view of health does not take what it polls for systems that send; the view knows better."""
    configured = System(
        source="town", system=SYSTEM, owner=Organisation("00000099000000001002"), name="Projectenlijst",
        connector="file-snapshots", protocol="files", freshness_objective_s=3600, silent_seconds=900.0,
    )  # fmt: skip
    systems = Systems(Codec.offline(), configured=[configured])
    untold = systems.statuses([SystemSeen(SYSTEM, AT, 3)], {}.get, AT)
    systems.hear([record(Codec.offline(), "As told")])

    assert [(one.state, one.connector, one.plans) for one in untold] == [(SystemState.UNKNOWN, "file-snapshots", 3)]
    assert [(one.state, one.name) for one in systems.statuses([], {}.get, AT)] == [(SystemState.RUNNING, "As told")]


def test_the_last_word_counts_and_null_forgets() -> None:
    """A system is as it was last told; one that cannot be read is left out, the others stay."""
    codec = Codec.offline()
    systems = Systems(codec)
    systems.hear([record(codec, "Old"), record(codec, "New", 1)])
    new = [status.name for status in systems.statuses([], {}.get, AT)]
    systems.hear([Record("sources", 0, 2, SYSTEM, None, (), 0), Record("sources", 0, 3, "x", b"?", (), 0)])

    assert new == ["New"]
    assert systems.statuses([], {}.get, AT) == []
