"""A site whose console is looked at: names that must be escaped, a hole, a silent sensor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from jauge_collector import config
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.state import ServiceState
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Birth, Method, ResourceDescription, SourceDescription, State

from tests.collector.console.serving import (
    HOUR_MS,
    KWH,
    PLANT,
    Served,
    now_ms,
    opened,
    serve,
)

DAY_MS = 24 * HOUR_MS
DAYS = 100
HOLE = (40 * 24 - 30, 40 * 24 + 30)
"""Hours since the first reading in which the UPS is silent: a whole civil day is among them."""
EVIL = "<script>alert('é')</script>"
STEPS = {"incomer": ("energy", 12 * KWH), "ups": ("energy", 10 * KWH), "water": ("water", 5e-3)}

SITE = f"""
[site]
name = "s"
title = "{EVIL} site"
time_zone = "Europe/Paris"
simulated = true
note = "{EVIL} note"

[[meters]]
id = "incomer"
commodity = "electricity"
feeds = ["plant/meter:incomer"]
name = "{EVIL} incomer"
location = "{EVIL} room"
uncertainty = 0.005
interval_s = 3600
counts = "from_start"
reason = "a test"
factors = [{{ value = 1.0, reason = "{EVIL} factor" }}]

[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["plant/meter:ups"]
name = "UPS"
uncertainty = 0.005
interval_s = 3600
counts = "from_start"
reason = "a test"

[[meters]]
id = "water"
commodity = "water"
feeds = ["plant/meter:water"]
name = "Make-up water"
uncertainty = 0.01
interval_s = 3600
counts = "from_start"
reason = "a test"

[[meters]]
id = "spare"
commodity = "electricity"
feeds = ["plant/meter:spare"]
name = "Spare"

[[equations]]
symbol = "E_DC"
terms = [{{ meter = "incomer", reason = "{EVIL} term" }}]

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{{ meter = "ups" }}]

[[equations]]
symbol = "W_IN"
terms = [{{ meter = "water" }}]

[[events]]
kind = "bypass"
begin = "2026-01-05T10:00"
end = "2026-01-05T12:00"
subject = "ups"
reason = "{EVIL} event"
"""


def first_ms() -> int:
    """The first reading."""
    now = now_ms()
    return now - now % HOUR_MS - DAYS * DAY_MS


async def fill(state: ServiceState) -> None:
    """A hundred days of hourly registers, the UPS's with a hole, up to this hour."""
    now, first = now_ms(), first_ms()
    times = range(first, now + 1, HOUR_MS)
    await state.store.write(
        [
            Reading(Series(*PLANT, f"meter:{meter}", quantity), at, 1000.0 + step * number)
            for meter, (quantity, step) in STEPS.items()
            for number, at in enumerate(times)
            if meter != "ups" or not HOLE[0] <= number < HOLE[1]
        ]
    )
    state.ledger.mark(PLANT.site, PLANT.agent, times, 0)
    state.ledger.set_oldest(PLANT.site, PLANT.agent, now)
    with state.ledger.writer():
        await run_pass(state.store, state.ledger, state.sites["s"], now)


async def introduce(state: ServiceState) -> None:
    """The plant says what it measures; of its sensors one is read and one is not."""
    now = now_ms()
    resources = [
        ResourceDescription(f"meter:{meter}", {quantity: Method.REGISTER}, name=f"{EVIL} {meter}")
        for meter, (quantity, _) in STEPS.items()
    ] + [
        ResourceDescription(f"sensor:{name}", {"temperature": Method.GAUGE})
        for name in ("alive", "dead")
    ]
    sources = [SourceDescription("modbus", 60.0), SourceDescription("ipmi", 60.0, EVIL)]
    state.inventory.born(PLANT, Birth("b1", EVIL, now / 1000, sources, resources), now)
    state.inventory.stated(PLANT, State("b1", online=True, sent_at=now / 1000), now)
    agent = state.inventory.seen(PLANT, now)
    agent.heard("b1", now)
    agent.newest_ms = now
    await state.store.write(
        [
            Reading(Series(*PLANT, resource, quantity), now, value)
            for resource, quantity, value in (
                ("sensor:alive", "temperature", 21.5),
                *((f"meter:{m}", q, 1000.0 + s * (DAYS * 24 + 0.5)) for m, (q, s) in STEPS.items()),
            )
        ]
    )


def configuration(folder: Path, site: str = SITE) -> config.CollectorConfig:
    """A configuration of that site."""
    (folder / "site.toml").write_text(site, encoding="utf-8")
    path = folder / "collector.toml"
    path.write_text(
        'sites = ["site.toml"]\nstate_dir = "state"\n[console]\nlisten = "127.0.0.1:8090"\n',
        encoding="utf-8",
    )
    return config.load(path)


@asynccontextmanager
async def looked_at(folder: Path, site: str = SITE) -> AsyncIterator[Served]:
    """The console of that site, filled and introduced."""
    async with opened(configuration(folder, site)) as state:
        await fill(state)
        await introduce(state)
        async with serve(state) as console:
            yield console


LARGEST = 150_000


def built(html: str, code: str, where: str) -> "Outline":
    """A page that is built for every reader, checked.

    Language, landmarks, one h1, headings in order, unique ids, labels, captions, scopes, size; no
    script, no style of its own, links of one name lead to one place.
    """
    page = Outline(html)
    assert page.lang == code, where
    assert [m for m in page.landmarks if m != "nav"] == ["header", "main", "footer"], where
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1, where
    assert levels[0] == 1, where
    assert all(after - before <= 1 for before, after in pairwise(levels)), (where, levels)
    assert all(heading for _, heading in page.headings), where
    assert len(set(page.ids)) == len(page.ids), where
    assert set(page.referred) <= set(page.ids), where
    assert len(set(page.regions)) == len(page.regions), where
    assert page.captions == len(page.tables), where
    assert page.unscoped == 0, where
    assert (page.scripts, page.styles) == (0, 0), where
    places: dict[str, set[str]] = {}
    for name, href in page.links:
        assert name, (where, href)
        places.setdefault(name, set()).add(href)
    assert {name for name, to in places.items() if len(to) > 1} == set(), where
    assert len(html.encode()) < LARGEST, where
    return page


class Outline(HTMLParser):
    """What a reader's tools see of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lang = ""
        self.ids: list[str] = []
        self.referred: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.links: list[tuple[str, str]] = []
        self.regions: list[str] = []
        self.landmarks: list[str] = []
        self.scripts = 0
        self.styles = 0
        self.tables: list[list[list[str]]] = []
        self.unscoped = 0
        self.captions = 0
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self._into: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it opens."""
        named = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.lang = named["lang"]
        if "id" in named:
            self.ids.append(named["id"])
        self.referred += named.get("aria-labelledby", "").split()
        self.scripts += tag == "script" or any(name.startswith("on") for name in named)
        self.styles += tag == "style" or "style" in named
        self.unscoped += tag == "th" and "scope" not in named
        if named.get("role") == "region":
            self.regions.append(named["aria-label"])
        if tag in ("header", "main", "footer", "nav"):
            self.landmarks.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("h1", "h2", "h3", "h4", "a", "th", "td", "caption"):
            self._open.append((tag, named.get("href", "")))
            self._into.append([])

    def handle_endtag(self, tag: str) -> None:
        """Keep what it closes."""
        if tag not in ("a", "span", "strong", "small"):
            self.text += " "
        if not self._open or self._open[-1][0] != tag:
            return
        _, href = self._open.pop()
        text = " ".join("".join(self._into.pop()).split())
        if tag == "a":
            self.links.append((text, href))
        elif tag == "caption":
            self.captions += 1
        elif tag in ("th", "td"):
            self.tables[-1][-1].append(text)
        else:
            self.headings.append((int(tag[1]), text))

    def handle_data(self, data: str) -> None:
        """Text belongs to all that is open."""
        self.text += data
        for pieces in self._into:
            pieces.append(data)

    def to(self, part: str) -> str:
        """The first link whose address holds ``part``."""
        return next(href for _, href in self.links if part in href)
