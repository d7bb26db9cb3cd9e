"""/healthz, /readyz and /metrics: what watches the collector from outside; and *Fleet health*."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web
from jauge_models.effectiveness import Kpi

from jauge_collector.access.roles import Permission
from jauge_collector.console.figures import MOST_WAITING, BusyError, Figures
from jauge_collector.console.fleet import Fleet
from jauge_collector.console.guard import GATE, mount
from jauge_collector.console.published import Published
from jauge_collector.console.scoped import Scoping
from jauge_collector.kpis import SiteKpis
from jauge_collector.ledger.book import LedgerError
from jauge_collector.state import Part, ServiceState
from jauge_collector.telemetry import Sample

KPI_FAMILIES: Final[Mapping[str, str]] = {
    "pue": "jauge_kpi_pue_ratio",
    "ppue": "jauge_kpi_ppue_ratio",
    "wue": "jauge_kpi_wue_cubic_metres_per_megawatt_hour",
    "cue": "jauge_kpi_cue_kilograms_per_kilowatt_hour",
    "ref": "jauge_kpi_ref_ratio",
    "erf": "jauge_kpi_erf_ratio",
}
"""Metric of each indicator; a value that is not measured has no sample."""
COVERAGE_FAMILY: Final = "jauge_kpi_coverage_ratio"

_KPIS_WITHIN_S: Final = 2.0
"""A scrape waits no longer for indicators: those that take longer are there at a later one."""


def add_routes(
    app: web.Application, state: ServiceState, figures: Figures, published: Published
) -> None:
    """Mount them."""
    state.telemetry.watch_lag("kpis", lambda: figures.kpi_age_s)
    state.telemetry.watch_queue(
        "figures",
        size=lambda: figures.waiting,
        limit=MOST_WAITING,
        dropped=lambda: figures.turned_away,
    )

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        parts = state.readiness()
        status = 200 if all(part.ready for part in parts) else 503
        if "json" in request.headers.get("Accept", ""):
            body = msgspec.json.encode({"ready": status == 200, "parts": parts})
            return web.Response(body=body, status=status, content_type="application/json")
        return web.Response(text=_told(parts), status=status)

    async def metrics(request: web.Request) -> web.Response:
        found, of_sites = await asyncio.gather(_indicators(state, figures), published.families())
        for name, samples in {**families(found), **of_sites}.items():
            state.telemetry.set_family(name, samples)
        accept = request.headers.get("Accept", "")
        body, content_type = await asyncio.to_thread(state.telemetry.exposition, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})

    mount(app, "GET", "/healthz", healthz, Permission.OPEN)
    mount(app, "GET", "/readyz", readyz, Permission.WATCH)
    mount(app, "GET", "/metrics", metrics, Permission.WATCH)
    fleet = Fleet(state, Scoping(figures, state.sites, app[GATE].tenancies))
    mount(app, "GET", "/{site}/fleet", fleet.page, Permission.AGENTS)


def _told(parts: Sequence[Part]) -> str:
    lines = [
        f"{part.name}: {'ready' if part.ready else 'not ready'}"
        + (f" ({part.detail})" if part.detail else "")
        for part in parts
    ]
    return "\n".join(lines) + "\n"


async def _indicators(state: ServiceState, figures: Figures) -> list[tuple[str, SiteKpis]]:
    """Of every site, the indicators of each period, where known within a short time."""

    async def known(
        period: str, figure: Coroutine[Any, Any, SiteKpis]
    ) -> tuple[str, SiteKpis] | None:
        try:
            async with asyncio.timeout(_KPIS_WITHIN_S):
                return period, await figure
        except (TimeoutError, BusyError, LedgerError):
            return None

    found = await asyncio.gather(
        *(
            known(period, work(site))
            for site in state.sites
            for period, work in (
                ("twelve_months", figures.twelve_months),
                ("quarter", figures.this_quarter),
            )
        )
    )
    return [one for one in found if one is not None]


def families(found: Iterable[tuple[str, SiteKpis]]) -> dict[str, list[Sample]]:
    """Samples of each metric; a value that is not measured has none, its coverage has."""
    values: dict[str, list[Sample]] = {name: [] for name in KPI_FAMILIES.values()}
    coverages: list[Sample] = []
    for period, site in found:
        for name, zone, kpi in _kpis(site):
            labels = {
                "site": site.site,
                "label": kpi.label,
                "category": kpi.category or "",
                "period": period,
                "status": kpi.status.value if kpi.status else "",
            }
            if zone:
                labels["zone"] = zone
            if kpi.value is not None:
                values[KPI_FAMILIES[name]].append(Sample(labels, kpi.value))
            if kpi.boundary:
                coverages.append(Sample({**labels, "kpi": name}, kpi.coverage))
    return {**values, COVERAGE_FAMILY: coverages}


def _kpis(site: SiteKpis) -> Iterator[tuple[str, str, Kpi]]:
    for name in ("pue", "wue", "cue", "ref", "erf"):
        yield name, "", getattr(site, name)
    for zone in site.ppue:
        yield "ppue", zone.zone, zone.kpi
