"""Plans are made one at a time beside the service, and kept; a failure is told, never hidden."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_collector.capacity.planning import Known
from jauge_collector.console.figures import BusyError
from jauge_collector.console.plans import MOST_WAITING, Making, Plans
from jauge_collector.state import ServiceState
from jauge_models.capacity.answer import Answer
from jauge_models.capacity.scenario import Scenario, decode
from jauge_models.configuration import ConfigurationError

from tests.collector.console.planned import SHORT, planned
from tests.collector.console.serving import opened

PATIENT = 60.0
WEEK = decode(SHORT, file="week")


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[ServiceState]:
    """What a collector with the example's plant has."""
    async with opened(planned(tmp_path)) as found:
        yield found


@pytest.fixture
async def plans(state: ServiceState) -> AsyncIterator[Plans]:
    """Plans that are closed in the end."""
    made = Plans(state)
    yield made
    await made.close()


async def test_what_was_made_is_kept(plans: Plans, state: ServiceState) -> None:
    """The same objects, for the same scenario under another name too."""
    site = state.sites["s"]
    known = await plans.known(site, patience_s=PATIENT)
    assert isinstance(known, Known)
    assert await plans.known(site) is known
    found = await plans.answer(site, WEEK, file="week", patience_s=PATIENT)
    assert isinstance(found, Answer)
    assert found.scenario == "A week"
    assert await plans.answer(site, WEEK, file="other") is found


async def test_who_does_not_wait_is_told_that_it_is_being_made(
    plans: Plans, state: ServiceState
) -> None:
    """Since when; it is there later without being asked for again."""
    site = state.sites["s"]
    told = await plans.known(site, patience_s=0)
    assert isinstance(told, Making)
    assert told.since_ms > 0
    again = await plans.known(site, patience_s=0)
    assert again == told
    assert isinstance(await plans.known(site, patience_s=PATIENT), Known)


async def test_another_plant_is_another_answer(plans: Plans, state: ServiceState) -> None:
    """Once the plant file changes, what was made of the old one is not told any more."""
    site = state.sites["s"]
    before = await plans.answer(site, WEEK, file="week", patience_s=PATIENT)
    assert isinstance(before, Answer)
    file = site.file.parent / "plant.toml"
    node = '\n[[nodes]]\nname = "more"\nkind = "train-8"\nrack = "r4"\n'
    file.write_text(file.read_text("utf-8") + node, encoding="utf-8")
    after = await plans.answer(site, WEEK, file="week", patience_s=PATIENT)
    assert isinstance(after, Answer)
    assert after.base.gpus == before.base.gpus + 8


async def test_a_plant_that_cannot_be_used_is_said_and_mended(
    plans: Plans, state: ServiceState
) -> None:
    """To each who asks, by file and key; once it is mended, at once."""
    site = state.sites["s"]
    file = site.file.parent / "plant.toml"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("gpus = 8", "gpus = -8", 1), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"plant\.toml: kinds\[0\]\.gpus"):
            await plans.known(site, patience_s=PATIENT)
    file.write_text(whole, encoding="utf-8")
    assert isinstance(await plans.known(site, patience_s=PATIENT), Known)


async def test_a_fault_is_told_and_is_no_old_answer(
    plans: Plans, state: ServiceState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no one foresaw reaches who asks; what was made of another plant does not."""
    site = state.sites["s"]
    assert isinstance(await plans.known(site, patience_s=PATIENT), Known)
    (site.file.parent / "plant.toml").write_text("kinds = []\nnodes = []\n", encoding="utf-8")

    async def fault(*_: object, **__: object) -> Known:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("jauge_collector.capacity.planning.gather", fault)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="a fault"):
            await plans.known(site, patience_s=PATIENT)


async def test_not_everybody_may_queue(plans: Plans, state: ServiceState) -> None:
    """Beyond a number of scenarios that wait, one is turned away; the others are answered."""
    site = state.sites["s"]
    assert isinstance(await plans.known(site, patience_s=PATIENT), Known)
    some = [decode(SHORT.replace("days = 7", f"days = {n + 7}"), file="s") for n in range(20)]

    async def ask_all() -> None:
        for one in some:
            await plans.answer(site, one, file="s", patience_s=0)
            asked.append(one)

    asked: list[Scenario] = []
    with pytest.raises(BusyError):
        await ask_all()
    assert len(asked) >= MOST_WAITING
    first = await plans.answer(site, some[0], file="s", patience_s=PATIENT)
    assert isinstance(first, Answer)


async def test_closing_waits_for_what_runs_and_drops_the_rest(state: ServiceState) -> None:
    """No task and no thread is left."""
    made = Plans(state)
    told = await made.known(state.sites["s"], patience_s=0)
    assert isinstance(told, Making)
    await made.close()
