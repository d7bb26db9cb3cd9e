"""Agents as the collector knows them: a restart is no clone, a clone is not let through."""

import logging
from collections.abc import Iterable

import pytest
from jauge_collector.inventory import OVERLAP_MS, QUIET_MS, SILENT_MS, Agent, Inventory
from jauge_models.wire import Address, Birth, ResourceDescription, State

ADDRESS = Address("s", "a")


def hear(agent: Agent, packs: Iterable[tuple[int, str]]) -> list[tuple[int, bool]]:
    """When quarantine began or ended, of packs given as (time in s, boot id)."""
    return [
        (second, agent.quarantined) for second, boot in packs if agent.heard(boot, second * 1000)
    ]


def ticks(boot: str, start: int, end: int, period: int = 30) -> list[tuple[int, str]]:
    """Packs of one boot id, one each period."""
    return [(second, boot) for second in range(start, end, period)]


def agent_of(inventory: Inventory) -> Agent:
    """The agent of these tests."""
    return inventory.seen(ADDRESS, 0)


@pytest.mark.parametrize("period", [1, 30, 60, 300])
def test_two_boot_ids_that_alternate_are_quarantined(period: int) -> None:
    """Two processes under one name are found within three ticks or the overlap, and named."""
    agent = agent_of(Inventory())
    both = sorted(
        ticks("one", 0, 20 * period, period)
        + [(second + period // 2, boot) for second, boot in ticks("two", 0, 20 * period, period)]
    )
    ((second, quarantined),) = hear(agent, both)
    assert quarantined
    assert second <= max(3 * period, OVERLAP_MS // 1000 + 2)
    assert set(agent.twins or ()) == {"one", "two"}


def test_a_restart_is_no_clone() -> None:
    """An agent that is restarted now and then, even every few seconds, stays trusted."""
    agent = agent_of(Inventory())
    packs = ticks("b0", 0, 600)
    for number in range(1, 50):
        packs += ticks(f"b{number}", 600 + number * 7, 600 + (number + 1) * 7, 3)
    assert hear(agent, packs) == []


def test_what_the_old_process_still_had_under_way_makes_no_clone() -> None:
    """The last packs of an ended process may mix with its successor's first ones."""
    agent = agent_of(Inventory())
    mixed = [(600 + n // 100, "old" if n % 2 else "new") for n in range(800)]
    packs = ticks("old", 0, 600) + mixed + ticks("new", 620, 3600)
    assert hear(agent, packs) == []


def test_a_quarantine_ends_once_only_one_is_heard_for_long() -> None:
    """It holds while both speak, however rarely, and ends after the quiet time with one."""
    agent = agent_of(Inventory())
    rare = [(second, "two" if second % 600 == 300 else "one") for second in range(0, 7200, 300)]
    began, *more = hear(agent, rare)
    assert began[1]
    assert more == []
    ended = hear(agent, ticks("one", 7200, 7200 + 2 * QUIET_MS // 1000))
    assert [quarantined for _, quarantined in ended] == [False]
    assert ended[0][0] >= rare[-1][0] + QUIET_MS // 1000
    assert agent.twins is None
    assert hear(agent, ticks("three", 20_000, 30_000)) == []


def test_a_person_may_release_a_quarantine_and_it_comes_back_if_both_go_on() -> None:
    """Released, the agent is trusted until two are heard at the same time again."""
    agent = agent_of(Inventory())
    both = [(second, "one" if second % 60 else "two") for second in range(0, 600, 30)]
    assert [quarantined for _, quarantined in hear(agent, both)] == [True]
    agent.release()
    assert not agent.quarantined
    later = [(second + 600, boot) for second, boot in both]
    assert [quarantined for _, quarantined in hear(agent, later)] == [True]


def test_a_release_by_a_person_is_counted_and_logged_with_the_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing of the quarantine remains, and twins that go on come back into it."""
    inventory = Inventory()
    agent = agent_of(inventory)
    assert not inventory.release(ADDRESS, by="anna")
    assert not inventory.release(Address("s", "unheard-of"), by="anna")
    both = [(second, "one" if second % 60 else "two") for second in range(0, 600, 30)]
    hear(agent, both)
    with caplog.at_level(logging.INFO):
        assert inventory.release(ADDRESS, by="anna\nERROR forged")
        assert not inventory.release(ADDRESS, by="anna")
    (record,) = caplog.records
    assert "agent s/a is released from quarantine by anna\\nERROR forged" in record.getMessage()
    assert "one" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert (agent.quarantined, agent.twins, inventory.released) == (False, None, 1)
    assert inventory.quarantined() == []
    ((second, quarantined),) = hear(agent, [(second + 600, boot) for second, boot in both])
    assert quarantined
    assert second <= 600 + 120
    assert set(agent.twins or ()) == {"one", "two"}


def test_a_released_agent_of_which_one_is_gone_stays_free() -> None:
    """What was heard of the other one before does not count again."""
    inventory = Inventory()
    agent = agent_of(inventory)
    hear(agent, [(second, "one" if second % 60 else "two") for second in range(0, 600, 30)])
    assert inventory.release(ADDRESS, by="anna")
    assert hear(agent, ticks("two", 600, 4000)) == []


def test_names_that_somebody_invents_drive_out_nobody_who_is_heard() -> None:
    """Full, only an agent that was silent for an hour makes room."""
    inventory = Inventory(limit=2)
    inventory.seen(Address("s", "a"), 1_000_000)
    inventory.seen(Address("s", "b"), 1_500_000)
    new = Address("s", "new")
    assert inventory.has_room(Address("s", "a"), 1_500_000)
    assert not inventory.has_room(new, 1_500_000)
    assert not inventory.has_room(new, 1_000_000 + SILENT_MS - 1)
    assert inventory.has_room(new, 1_000_000 + SILENT_MS)
    inventory.seen(new, 1_000_000 + SILENT_MS)
    assert [agent.address.agent for agent in inventory.of_site("s")] == ["b", "new"]


def test_documents_are_kept_within_a_bound_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Births and states count as they came; beyond the bound one is not kept, and counted."""
    monkeypatch.setattr("jauge_collector.inventory.MAX_DOCUMENT_BYTES", 100)
    inventory = Inventory(limit=2)
    birth, state = Birth("b", "1", 0.0), State("b", online=True, sent_at=1.0)
    first = inventory.born(ADDRESS, birth, 1, size=60)
    second = inventory.born(Address("s", "b"), birth, 2, size=60)
    inventory.stated(ADDRESS, state, 3, size=30)
    inventory.stated(Address("s", "b"), state, 4, size=30)
    assert [first.birth, first.state, second.birth, second.state] == [birth, state, None, None]
    assert (inventory.bytes, inventory.not_kept) == (90, 2)
    inventory.born(ADDRESS, birth, 5, size=10)
    assert inventory.bytes == 40
    inventory.seen(Address("s", "b"), 6)
    inventory.seen(Address("s", "c"), 7)
    assert inventory.bytes == 0


def test_the_silent_longest_is_forgotten_first() -> None:
    """The number of agents is bounded, and those that speak stay."""
    inventory = Inventory(limit=3)
    for number in range(3):
        inventory.seen(Address("s", f"a{number}"), number)
    inventory.seen(Address("s", "a0"), 10)
    inventory.seen(Address("s", "new"), 11)
    assert [agent.address.agent for agent in inventory.of_site("s")] == ["a0", "a2", "new"]
    assert inventory.forgotten == 1
    assert inventory.of_site("other") == []


def test_a_live_state_shows_the_clock_and_a_retained_one_does_not() -> None:
    """Skew is receipt minus sent_at of a live state; last wills and retained states show none."""
    inventory = Inventory()

    def after(state: State, now_ms: int, *, retained: bool = False) -> list[object]:
        agent = inventory.stated(ADDRESS, state, now_ms, retained=retained)
        return [agent.online, agent.skew_ms, agent.last_seen_ms]

    old = State(boot="b", online=True, sent_at=1000.0)
    assert after(old, 5_000_000, retained=True) == [True, None, 1_000_000]
    live = State(boot="b", online=True, sent_at=6000.0)
    assert after(live, 6_000_250) == [True, 250, 6_000_250]
    will = State(boot="b", online=False, sent_at=5000.0)
    assert after(will, 7_000_000) == [False, 250, 6_000_250]


def kept(agent: Agent) -> int | None:
    """Resources of the birth that is kept."""
    return None if agent.birth is None else len(agent.birth.resources)


def test_births_are_kept_within_a_bound_of_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """A birth replaces the agent's earlier one; beyond the bound of all it is not kept."""
    monkeypatch.setattr("jauge_collector.inventory.MAX_RESOURCES", 5)

    def birth(count: int) -> Birth:
        return Birth("b", "1", 0.0, resources=[ResourceDescription("host")] * count)

    inventory = Inventory(limit=2)
    first = inventory.born(ADDRESS, birth(4), 1)
    second = inventory.born(Address("s", "b"), birth(2), 2)
    assert [kept(first), kept(second)] == [4, None]
    inventory.born(ADDRESS, birth(3), 3)
    inventory.born(Address("s", "b"), birth(2), 4)
    assert [kept(first), kept(second)] == [3, 2]
    third = inventory.born(Address("s", "c"), birth(3), 5)
    assert inventory.of_site("s") == [second, third]
    assert [kept(second), kept(third)] == [2, 3]
