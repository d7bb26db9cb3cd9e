"""Words, links and marks that the pages of hosts, of guests and of their use share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from jauge_models.attribution import Certainty

from jauge_collector.console.charts import Style
from jauge_collector.console.hosting_views import HostView
from jauge_collector.console.rendering import Cell, Visit
from jauge_collector.console.text import Language

ON_A_PAGE: Final = 100
PARTS: Final[tuple[Style, ...]] = ("own", "idle", "dynamic", "gpu")
DECIMALS: Final = 1
"""Of watts: those that what is drawn now is worked out to."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Which page of a long list is shown."""

    number: int
    last: int
    previous: str
    following: str


def host_path(site: str, host: str) -> str:
    """Where a host's page is."""
    return f"/{site}/hosts/{quote(host, safe='/:')}"


def guest_path(site: str, guest: str) -> str:
    """Where a guest's page is."""
    return f"/{site}/guests/{quote(guest, safe=':')}"


def kwh(language: Language, energy: float | None) -> str:
    """An energy in kWh, in every row of a column alike."""
    return "–" if energy is None else language.total(energy, "J")


def watts(language: Language, power: float | None) -> str:
    """A power in W with the decimals that add up."""
    return "–" if power is None else f"{language.number(power, DECIMALS)}\u00a0W"


def certainty_cell(language: Language, certainty: Certainty | None) -> Cell:
    """How sure a value is, in words and a mark."""
    if certainty is None:
        return Cell("–")
    mark = "warn" if certainty is Certainty.ESTIMATED else "good"
    return Cell(language(f"certainty_{certainty}"), chip=mark)


def named(views: Sequence[tuple[str, str]]) -> dict[str, str]:
    """By id what each is called: a name that several have is told with the id."""
    often = Counter(name for _, name in views)
    return {key: name if often[name] == 1 else f"{name} ({key})" for key, name in views}


def paged(visit: Visit, path: str, number: int, page: int, **query: str) -> Pages:
    """The pages of a list of so many; a page beyond the last is the last."""
    last = max(1, -(-number // ON_A_PAGE))
    page = min(max(1, page), last)
    kept = {key: text for key, text in query.items() if text}

    def to(other: int) -> str:
        return visit.link(path, **kept, page=str(other)) if 1 <= other <= last else ""

    return Pages(page, last, to(page - 1), to(page + 1))


def power_cell(visit: Visit, host: HostView) -> Cell:
    """A host's watts with their age, or why there are none."""
    language = visit.language
    if host.power is None or host.time_ms is None:
        return Cell(language("not_measured"), why(language, host))
    ago = language.ago(visit.now_ms - host.time_ms)
    return Cell(watts(language, host.power), f"{language(f'certainty_{host.certainty}')}, {ago}")


def why(language: Language, host: HostView) -> str:
    """Why a host has no power, in words."""
    return language(f"unpowered_{host.reason or 'unseen'}")
