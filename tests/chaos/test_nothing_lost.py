"""Nothing is lost and nothing doubled, whatever happens to the processes, the broker, the registry, the partner."""

from pathlib import Path

import pytest

from tests.chaos import troubles
from tests.chaos.feeds import burst, worksites
from tests.chaos.fleet import Fleet
from tests.chaos.scenario import delivered, logs_of, run
from tests.chaos.world import world

PROFILES = Path(__file__).parents[1] / "connectors" / "profiles"
ROUNDS = (
    ("first load, each killed", (troubles.kill_each,)),
    ("each frozen and replaced", (troubles.freeze_each,)),
    ("broker away, poison", (troubles.restart_broker, troubles.poison)),
    ("registry and receiver away, all killed", (troubles.registry_away, troubles.receiver_down, troubles.kill_all)),
    ("compaction without detect, other rules", (troubles.compaction_without_detect,)),
    ("rules back", (troubles.rules_back,)),
)


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_nothing_is_lost(tmp_path: Path, shared_data: Path) -> None:
    """Six weeks of real exports and a burst of invented ones play while everything is ill-treated once.

    After each trouble plan states equal the batch differ, findings equal the batch oracle; in the end every alert has
    exactly one final receipt and the receiver, repeats removed, lacks none. What cannot be read is set aside.
    """
    feeds = [worksites(tmp_path / "worksites", PROFILES, shared_data), burst(tmp_path / "burst", 24, plans=60)]
    logs = tmp_path / "logs"
    logs.mkdir()
    with world(tmp_path, feeds) as hub, Fleet(hub.config, logs, [feed.name for feed in feeds]) as fleet:
        for done in run(hub, fleet, ROUNDS):
            assert done.problems == [], f"{done.name}: {done.problems[:5]} {dict(fleet.exits)}\n{logs_of(logs)}"
            assert done.findings > 0
        assert delivered(hub) == [], logs_of(logs)
        set_aside = hub.dead_letters()

    assert {"consolidate plan-changes", "detect plan-regions"} <= set(set_aside)
    assert set(fleet.exits) >= {f"{name}: -9" for name in ("consolidate", "detect", "notify", "webhook", "burst")}
