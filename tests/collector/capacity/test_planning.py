"""What an answer is made from, gathered; and what of it stands in every answer."""

from pathlib import Path

from jauge_collector.capacity import planning
from jauge_collector.capacity.past import YEAR_WEEKS
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import Counted, Measure
from jauge_models.capacity.scenario import decode
from jauge_models.effectiveness import CoveragePolicy

from tests.collector.capacity.measured import Measured, ledger_in, site_of, sqlite_in, steady

SCENARIO = 'name = "s"\nfirst = 2026-09-07\ndays = 1\n[[inference]]\nid = "i"\nreplicas = 1\n'


async def test_an_answer_has_pools_and_what_was_not_learnt(tmp_path: Path) -> None:
    """Of six hours it says how few they are; a year that is not read yet is told in weeks."""
    with ledger_in(tmp_path) as ledger:
        async with sqlite_in(tmp_path) as store:
            plant = Measured(*site_of(tmp_path), ledger, store)
            for gpu in range(4):
                await plant.say("n3", f"gpu:{gpu}", "gpu_utilisation", steady(0.5))
            plant.draw("gw/host:3", dict(steady(900.0)))
            known = await planning.gather(
                plant.site, ledger, store, plant.now_ms, policy=CoveragePolicy()
            )
    assert {one.limit: one.counted for one in known.uses} == {
        Limit.GPUS: Counted.AT_WORK,
        Limit.RACK_POWER: Counted.DRAWN,
        Limit.BREAKER: Counted.DRAWN,
    }
    scenario = decode(SCENARIO, file="s.toml")
    found = planning.plan(known, scenario, file="s.toml")
    assert [(one.pool, one.measure) for one in found.pools] == [
        ("F", Measure.ACTIVITY),
        ("F", Measure.POWER),
    ]
    assert all(one.too_little is not None and one.too_little.have == 6 for one in found.pools)
    assert found.unlearnt == {"two": "samples", "four": "samples"}
    assert found.gpu_weeks is None
    part = known._replace(past=known.past._replace(use_hours=9 * 168))
    assert planning.plan(part, scenario, file="s.toml").gpu_weeks == 9
    assert known.past.use_hours == YEAR_WEEKS * 168
