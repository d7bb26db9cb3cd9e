"""Figures are kept for as long as the ledger's rows and entries stand, and never block the loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import civil, kpis, sites
from jauge_collector.console import figures as module
from jauge_collector.console.figures import BusyError, Figures, quarter_so_far, twelve_months
from jauge_collector.kpis import Step
from jauge_models.boundaries import Symbol
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests import parts
from tests.collector.console.serving import (
    DAYS,
    HOUR_MS,
    IT_KWH,
    KWH,
    PLANT,
    SITE,
    configuration,
    fill,
    introduce,
    now_ms,
    opened,
)

DAY_MS = 24 * HOUR_MS


class Counted:
    """The real computation, counted, and held back while told to."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real = real
        self.times = 0
        self.free = threading.Event()
        self.free.set()

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Work it out."""
        self.times += 1
        assert self.free.wait(10)
        return self.real(*args, **named)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """`site_kpis`, counted; what is kept is checked at every call."""
    work = Counted(kpis.site_kpis)
    monkeypatch.setattr(kpis, "site_kpis", work)
    monkeypatch.setattr(module, "CHECKED_S", 0.0)
    return work


async def test_a_figure_is_worked_out_anew_only_when_the_ledger_changed(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged rows: once. An entry of a person, or a late reading: again, and then once."""
    # However slow this machine is, nobody is given what was checked last instead.
    monkeypatch.setattr(module, "PATIENCE_S", 60.0)
    async with opened(configuration(tmp_path), days=DAYS) as state:
        figures = Figures(state)
        span = (now_ms() - 30 * DAY_MS, now_ms() - DAY_MS)
        before = await figures.kpis("s", *span)
        for _ in range(3):
            assert await figures.kpis("s", *span) == before
        assert counted.times == 1
        state.ledger.append(
            "s", "event", "ups", start_ms=span[0], content={"event": "maintenance"}, now_ms=now_ms()
        )
        await figures.kpis("s", *span)
        assert counted.times == 2
        # twice the IT energy in one hour of the span, by a register that then stays ahead
        at = span[1] - span[1] % HOUR_MS
        await state.store.write(
            [Reading(Series(*PLANT, "meter:ups", "energy"), at, 1000.0 + 1e4 * IT_KWH * KWH)]
        )
        state.ledger.mark("s", "plant", [at], 0)
        with state.ledger.writer():
            from jauge_collector.ledger.accounting import run_pass

            await run_pass(state.store, state.ledger, state.sites["s"], now_ms())
        after = await figures.kpis("s", *span)
        assert counted.times == 3
        assert after.pue != before.pue
        await figures.close()


async def test_callers_at_one_time_share_one_computation(tmp_path: Path, counted: Counted) -> None:
    """Ten readers of one page cost what one does, and the loop runs on meanwhile: it sets free."""
    async with opened(configuration(tmp_path)) as state:
        figures = Figures(state)
        counted.free.clear()
        span = (now_ms() - DAY_MS, now_ms())
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(figures.kpis("s", *span)) for _ in range(10)]
            await parts.eventually(lambda: counted.times > 0, within=5)
            counted.free.set()
        assert counted.times == 1
        assert len({id(task.result()) for task in asked}) == 1
        await figures.close()


async def test_a_slow_figure_is_given_as_checked_last_and_renewed_behind(
    tmp_path: Path, counted: Counted
) -> None:
    """Who has a figure of the last minute does not wait for the next; it shows when it is there."""
    async with opened(configuration(tmp_path)) as state:
        figures = Figures(state)
        span = (now_ms() - 30 * DAY_MS, now_ms() - DAY_MS)
        before = await figures.kpis("s", *span)
        await fill(state)
        counted.free.clear()
        began = time.monotonic()
        assert await figures.kpis("s", *span) is before
        assert time.monotonic() - began < 1
        counted.free.set()

        async def renewed() -> bool:
            return (await figures.kpis("s", *span)).pue.value == pytest.approx(1.2)

        await parts.eventually(renewed, within=5)
        assert counted.times == 2
        await figures.close()


async def test_a_failed_computation_is_not_kept(tmp_path: Path, counted: Counted) -> None:
    """The next call tries again."""
    async with opened(configuration(tmp_path)) as state:
        figures = Figures(state)
        span = (now_ms() - DAY_MS, now_ms())
        real, counted.real = counted.real, lambda *_, **__: 1 / 0
        with pytest.raises(ZeroDivisionError):
            await figures.kpis("s", *span)
        counted.real = real
        assert (await figures.kpis("s", *span)).site == "s"
        await figures.close()


async def test_what_waits_is_bounded(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many different figures at once: refused, and well again once there is room."""
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    async with opened(configuration(tmp_path)) as state:
        figures = Figures(state)
        counted.free.clear()
        spans = [(now_ms() - DAY_MS - n, now_ms()) for n in range(5)]
        async with asyncio.TaskGroup() as group:
            for span in spans[:3]:
                group.create_task(figures.kpis("s", *span))
            await parts.eventually(lambda: counted.times > 0, within=5)
            with pytest.raises(BusyError):
                await figures.kpis("s", *spans[3])
            counted.free.set()
        await figures.kpis("s", *spans[4])
        await figures.close()


async def test_profiles_have_gaps_and_no_zeros(tmp_path: Path) -> None:
    """Days read show what flowed; days before the first reading are gaps; no equation, nothing."""
    async with opened(configuration(tmp_path), days=10) as state:
        figures = Figures(state)
        zone = state.sites["s"].zone
        today = civil.midnight_ms(civil.day(now_ms(), zone), zone)
        slots = await figures.profile("s", Symbol.E_IT, today - 20 * DAY_MS, today, Step.DAY)
        assert [slot.amount for slot in slots[-9:]] == [
            pytest.approx(24 * IT_KWH * KWH) for _ in range(9)
        ]
        assert {slot.amount for slot in slots[:9]} == {None}
        (water,) = await figures.profile("s", "water", today - DAY_MS, today, Step.DAY)
        assert water.amount == pytest.approx(0.12)
        assert await figures.profile("s", Symbol.E_REUSE, today - DAY_MS, today, Step.DAY) == []
        with pytest.raises(KeyError):
            await figures.profile("s", "none", today - DAY_MS, today, Step.DAY)
        rows = await figures.rows("s", "ups", today - DAY_MS, today)
        assert len(rows) == 24
        assert {row.feed for row in rows} == {"plant/meter:ups/energy"}
        await figures.close()


async def test_an_agent_shows_its_newest_readings_though_it_is_long_silent(tmp_path: Path) -> None:
    """Newest means newest of that agent, with its age; an agent never heard of is None."""
    async with opened(configuration(tmp_path)) as state:
        introduce(state)
        figures = Figures(state)
        silent = state.inventory.seen(PLANT, now_ms())
        then = now_ms() - 40 * DAY_MS
        silent.newest_ms = then
        series = Series(*PLANT, "meter:ups", "energy")
        await state.store.write([Reading(series, then, 7.0), Reading(series, then - 60_000, 6.0)])
        told = await figures.agent("s", "plant")
        assert told is not None
        values = {view.id: view.readings[0] for view in told[1]}
        assert (values["meter:ups"].value, values["meter:ups"].time_ms) == (7.0, then)
        assert values["meter:water"].value is None
        assert await figures.agent("s", "none") is None
        with pytest.raises(KeyError):
            await figures.agent("none", "plant")
        await figures.close()


@pytest.mark.parametrize(
    ("now", "year", "quarter"),
    [
        ("2026-11-24T09:41:30", ("2025-11-24", "2026-11-24"), ("2026-10-01", "2026-11-24T09:30")),
        ("2028-02-29T12:00:00", ("2027-02-28", "2028-02-29"), ("2028-01-01", "2028-02-29T12:00")),
        ("2026-10-01T00:14:59", ("2025-10-01", "2026-10-01"), ("2026-07-01", "2026-10-01")),
        ("2026-10-01T00:15:00", ("2025-10-01", "2026-10-01"), ("2026-10-01", "2026-10-01T00:15")),
        ("2026-03-29T03:00:00", ("2025-03-29", "2026-03-29"), ("2026-01-01", "2026-03-29T03:00")),
    ],
)
def test_periods_follow_the_sites_clock(
    tmp_path: Path, now: str, year: tuple[str, str], quarter: tuple[str, str]
) -> None:
    """Twelve months end at today's midnight, the quarter at the last quarter hour; never empty."""
    path = tmp_path / "site.toml"
    path.write_text(SITE.replace('"UTC"', '"Europe/Paris"'), encoding="utf-8")
    site = sites.load(path)
    at = civil.moment_ms(now, site.zone)
    assert twelve_months(site, at) == tuple(civil.moment_ms(text, site.zone) for text in year)
    assert quarter_so_far(site, at) == tuple(civil.moment_ms(text, site.zone) for text in quarter)
