"""Hosts, guests and use as CSV files."""

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector import civil
from jauge_collector.console.hosting import Hosting
from jauge_collector.console.use_views import Found, SavingView, SleeperView, WindowView, use_view
from jauge_collector.csv_text import Cell, moment, written
from jauge_collector.sites import Site

_HOSTS: Final = (
    "host",
    "name",
    "cluster",
    "time",
    "power_w",
    "power_certainty",
    "own_power_w",
    "guests",
    "energy_24h_kwh",
    "coverage_24h",
    "energy_30d_kwh",
    "coverage_30d",
    "basis",
    "grade",
    "reconciliation_24h",
    "doubts_24h",
    "reason_without_power",
)
_GUESTS: Final = (
    "guest",
    "name",
    "cluster",
    "tenant",
    "service",
    "pool",
    "host",
    "power_w",
    "idle_w",
    "dynamic_w",
    "gpu_w",
    "power_certainty",
    "energy_24h_kwh",
    "energy_30d_kwh",
    "energy_certainty",
)
_USE: Final = (
    "finding",
    "id",
    "name",
    "tenant",
    "service",
    "cluster",
    "saved_dynamic_kwh_per_year",
    "saved_gpu_at_most_kwh_per_year",
    "saved_idle_if_a_host_sleeps_kwh_per_year",
    "certainty",
    "details",
)

_WEEK: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


async def hosts(site: Site, hosting: Hosting, now_ms: int) -> web.Response:
    """Every host that the visitor may see."""
    rows: list[list[Cell]] = [
        [
            one.host,
            one.name,
            one.cluster,
            moment(one.time_ms),
            _rounded(one.power),
            one.certainty.value if one.certainty else None,
            _rounded(one.own.power if one.own else None),
            one.guests,
            _kwh(one.energy_day),
            round(one.coverage_day, 4),
            _kwh(one.energy_month),
            round(one.coverage_month, 4),
            one.basis.value if one.basis else None,
            one.grade.value if one.grade else None,
            None if one.reconciliation_day is None else round(one.reconciliation_day, 4),
            " ".join(sorted(one.doubts_day)),
            one.reason.value if one.reason else None,
        ]
        for one in await hosting.hosts()
    ]
    return _file(_name("hosts", site, now_ms), _HOSTS, rows)


async def guests(site: Site, hosting: Hosting, now_ms: int) -> web.Response:
    """Every guest that the visitor may see."""
    rows: list[list[Cell]] = []
    for one in await hosting.guests():
        now = one.now
        rows.append(
            [
                one.guest,
                one.name,
                one.cluster,
                one.tenant,
                one.service,
                one.pool,
                one.host,
                _rounded(now.power if now else None),
                _rounded(now.idle if now else None),
                _rounded(now.dynamic if now else None),
                _rounded(now.gpu if now else None),
                now.certainty.value if now else None,
                _kwh(one.energy_day),
                _kwh(one.energy_month),
                one.certainty.value if one.certainty else None,
            ]
        )
    return _file(_name("guests", site, now_ms), _GUESTS, rows)


async def use(site: Site, hosting: Hosting, now_ms: int) -> web.Response:
    """Every finding about what the visitor may see; sizes and hours in the last column."""
    found = await use_view(site.name, hosting)
    rows = [
        _guest_row("idle", idle, f"days={idle.days} busiest_hour={idle.busiest:.4f}")
        for idle in found.idle
    ]
    for big in found.oversized:
        details = (
            f"processors={_told(big.processors)} enough={_told(big.recommended_processors)} "
            f"memory_b={_told(big.memory_size)} enough_b={_told(big.recommended_memory)}"
        )
        rows.append(_guest_row("oversized", big, details))
    rows += [
        _guest_row("at_rest", night, "; ".join(map(_window, night.windows)))
        for night in found.night
    ]
    rows += [_host_row(one) for one in found.asleep]
    return _file(_name("use", site, now_ms), _USE, rows)


def _file(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> web.Response:
    """A file of that name for the browser to save."""
    return web.Response(
        text=written(columns, rows),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _guest_row(kind: str, one: Found, details: str) -> list[Cell]:
    about: list[Cell] = [kind, one.guest, one.name, one.tenant, one.service, None]
    return [*about, *_saving(one.saving), details]


def _host_row(one: SleeperView) -> list[Cell]:
    moves = " ".join(f"{move.guest}>{move.host}" for move in one.moves)
    about: list[Cell] = ["host_could_sleep", one.host, one.name, None, None, one.cluster]
    return [*about, *_saving(one.saving), moves]


def _saving(saving: SavingView) -> list[Cell]:
    figures = (saving.dynamic, saving.gpu, saving.idle)
    return [*(round(kwh, 2) for kwh in figures), saving.certainty.value]


def _window(window: WindowView) -> str:
    """``Mon 20:00 for 10 h``, on the site's clock."""
    day, hour = divmod(window.start, 24)
    return f"{_WEEK[day]} {hour:02}:00 for {window.hours} h"


def _name(what: str, site: Site, now_ms: int) -> str:
    return f"jauge-{site.name}-{what}-{civil.day(now_ms, site.zone).isoformat()}.csv"


def _kwh(energy: float | None) -> float | None:
    return None if energy is None else round(energy / JOULES_PER_KWH, 4)


def _rounded(power: float | None) -> float | None:
    return None if power is None else round(power, 3)


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if value < 1e6 else f"{value:.0f}"
