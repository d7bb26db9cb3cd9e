"""The page of one host: its watts in parts that add up, and the hours of its last day."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

from jauge_models.attribution import Certainty, Doubt
from jauge_models.crosschecks import HOUR_MS
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector.adding_up import adding_up
from jauge_collector.console import partbar
from jauge_collector.console.charts import Chart, Curve, Row, Slot, Style
from jauge_collector.console.hosting_views import GuestView, HostHistory, HostView, PartNow
from jauge_collector.console.hosting_words import (
    DECIMALS,
    PARTS,
    certainty_cell,
    guest_path,
    kwh,
    named,
    watts,
    why,
)
from jauge_collector.console.rendering import Cell, Fact, Visit
from jauge_collector.console.series import hour_ticks
from jauge_collector.console.text import Language
from jauge_collector.ledger.shares import OWN, Share
from jauge_collector.sites import Site

MOST_PARTS: Final = 100
"""Guests in the table; what more there are stands as one line, so that all adds up."""
MOST_PIECES: Final = 60
"""Of the bar."""
_AGREED: Final = 0.001
"""What counters differ by is shown in tenths of a per cent."""


def context(visit: Visit, site: Site, found: HostHistory) -> dict[str, Any]:
    """What the template of one host needs."""
    language, host = visit.language, found.host
    lines = _Lines(visit, site, found) if host.power is not None and host.own else None
    return {
        "site": site,
        "name": host.name,
        "about": _about(visit, site, found),
        "unmeasured": ""
        if host.power is not None
        else f"{language('not_measured')}{language('colon')}{why(language, host)}"
        if found.answers
        else language("hosts_store_unavailable"),
        "bar": lines.bar() if lines else None,
        "parts_of_host": lines,
        "kinds": [(style, language(f"part_{style}")) for style in PARTS],
        "checks": list(_checks(language, host)) if found.hours else [],
        "policy_text": language(f"idle_policy_{found.policy}_text"),
        "chart": _hours(language, site, found),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _about(visit: Visit, site: Site, found: HostHistory) -> list[Fact]:
    language, host = visit.language, found.host
    facts = [Fact(language("host"), host.host)]
    if host.cluster:
        to = visit.link(f"/{site.name}/hosts", cluster=host.cluster)
        facts.append(Fact(language("cluster"), host.cluster, to))
    if host.power is not None and host.time_ms is not None:
        at = language.moment(host.time_ms, site.zone, seconds=True)
        facts.append(Fact(language("power_now"), f"{watts(language, host.power)}, {at}"))
        facts.append(Fact(language("certainty"), language(f"certainty_{host.certainty}")))
    facts += [
        Fact(language("energy_day"), kwh(language, host.energy_day)),
        Fact(language("energy_month"), kwh(language, host.energy_month)),
    ]
    if host.basis is not None and host.grade is not None:
        text = f"{language(f'basis_{host.basis}')}, {language(f'grade_{host.grade}')}"
        facts.append(Fact(language("basis"), text))
    facts.append(Fact(language("idle_policy"), language(f"idle_policy_{found.policy}")))
    return facts


def _checks(language: Language, host: HostView) -> Iterator[str]:
    """What a day's counters of the host and of its guests say of one another, in sentences."""
    if host.reconciliation_day:
        excess = 1 / host.reconciliation_day - 1
        which = "more" if excess > 0 else "less"
        if abs(excess) < _AGREED:
            which = "same"
        yield language(f"counters_{which}", part=language.percent(abs(excess)))
    for doubt in Doubt:
        if hours := host.doubts_day.get(doubt):
            yield language(f"doubt_{doubt}", hours=language.number(hours))
    if not host.doubts_day:
        yield language("doubts_none")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a host's parts; ``numbers`` are idle, dynamic, GPU and their sum, as shown."""

    name: str
    href: str
    sub: str
    numbers: Sequence[str]
    share: str
    certainty: Cell
    busy: str


class _Lines:
    """A host's parts as a table whose rows and columns add up as they are shown."""

    def __init__(self, visit: Visit, site: Site, found: HostHistory) -> None:
        self._visit, self._site, self._found = visit, site, found
        language = visit.language
        guests = sorted(
            (view for view in found.guests if view.now is not None),
            key=lambda view: (-_power(view), view.name),
        )
        names = named([(view.guest, view.name) for view in guests])
        own = found.host.own
        entries: list[tuple[str, GuestView | None, Sequence[PartNow]]] = [
            (language("own_part"), None, [own] if own else []),
            *((names[g.guest], g, [g.now] if g.now else []) for g in guests[:MOST_PARTS]),
        ]
        if rest := guests[MOST_PARTS:]:
            more = language("guests_more", number=language.number(len(rest)))
            entries.append((more, None, [view.now for view in rest if view.now]))
        exact = [
            fsum(getattr(part, name) for part in parts)
            for _, _, parts in entries
            for name in ("idle", "dynamic", "gpu")
        ]
        shown = adding_up(exact, DECIMALS)
        self._cells = [tuple(shown[at : at + 3]) for at in range(0, len(shown), 3)]
        self._entries = entries
        self.measured = watts(language, found.host.power)
        whole = fsum(shown)
        self.lines = [
            self._line(entry, cells, whole)
            for entry, cells in zip(entries, self._cells, strict=True)
        ]
        self.totals = [self._number(fsum(column)) for column in zip(*self._cells, strict=True)]
        self.total = self._number(whole)
        self.adds_up = f"{self.total}\u00a0W" == self.measured
        sure = "estimated" if found.host.certainty is Certainty.ESTIMATED else "measured"
        self.verdict = language(
            f"adds_up_{sure}" if self.adds_up else "adds_up_not", power=self.measured
        )

    def _line(
        self,
        entry: tuple[str, GuestView | None, Sequence[PartNow]],
        cells: Sequence[float],
        whole: float,
    ) -> Line:
        language, (name, guest, parts) = self._visit.language, entry
        worst = max((part.certainty for part in parts), key=lambda c: c.rank, default=None)
        power = fsum(cells)
        busy = sub = ""
        if guest is None and entry is self._entries[0]:
            sub = language("own_part_text")
        if guest is not None and guest.processors is not None:
            used = "–" if guest.busy is None else language.number(guest.busy, 2)
            busy = language("busy_of", busy=used, given=language.plain(guest.processors))
        return Line(
            name=name,
            href=self._visit.link(guest_path(self._site.name, guest.guest)) if guest else "",
            sub=sub,
            numbers=[self._number(value) for value in (*cells, power)],
            share=language.percent(power / whole) if whole > 0 else "–",
            certainty=certainty_cell(language, worst),
            busy=busy or "–",
        )

    def _number(self, value: float) -> str:
        return self._visit.language.number(value, DECIMALS)

    def bar(self) -> partbar.Bar:
        """The same as a bar: the host's own part, then guests in the order of the table."""
        language = self._visit.language
        pieces: list[partbar.Piece] = []
        for (name, _, _), (idle, dynamic, gpu) in zip(self._entries, self._cells, strict=True):
            if not pieces:
                parts: tuple[tuple[Style, float], ...] = (("own", idle + dynamic + gpu),)
            else:
                parts = (("idle", idle), ("dynamic", dynamic), ("gpu", gpu))
            pieces.append(partbar.Piece(name, parts))
        if len(pieces) > MOST_PIECES:
            rest = pieces[MOST_PIECES:]
            name = language("guests_more", number=language.number(len(rest)))
            sums: dict[Style, float] = defaultdict(float)
            for piece in rest:
                for style, value in piece.parts:
                    sums[style] += value
            pieces = [*pieces[:MOST_PIECES], partbar.Piece(name, tuple(sums.items()))]
        largest = ", ".join(f"{piece.name} {watts(language, piece.whole)}" for piece in pieces[1:4])
        return partbar.Bar(
            "parts",
            language("parts_bar", power=self.measured),
            language(
                "parts_bar_text",
                own=watts(language, pieces[0].whole),
                guests=language.number(len(self._found.guests)),
                largest=largest or "–",
            ),
            pieces,
        )


def _power(view: GuestView) -> float:
    return view.now.power if view.now else 0.0


def _hours(language: Language, site: Site, found: HostHistory) -> Chart:
    """The last day hour by hour; an hour without shares is a gap."""
    by_hour: dict[int, list[Share]] = defaultdict(list)
    for share in found.hours:
        by_hour[share.start_ms].append(share)
    hours = range(found.span[0], found.span[1], HOUR_MS)
    amounts = {at: parts_of(by_hour[at]) for at in hours if at in by_hour}
    names = [language(f"part_{name}") for name in PARTS]
    rows = []
    for at in hours:
        name = f"{language.clock(at, site.zone)}–{language.clock(at + HOUR_MS, site.zone)}"
        cells = [language("not_measured")] * 5 + ["–"]
        if at in amounts:
            shown = adding_up([amount / JOULES_PER_KWH for amount in amounts[at]], 3)
            worst = max((share.certainty for share in by_hour[at]), key=lambda c: c.rank)
            cells = [
                *(f"{language.number(value, 3)}\u00a0kWh" for value in (*shown, fsum(shown))),
                language(f"certainty_{worst}"),
            ]
        rows.append(Row(at, at + HOUR_MS, name, tuple(cells)))
    whole = fsum(fsum(some) for some in amounts.values())
    return Chart(
        id="hours",
        title=language("hours_chart"),
        description=language("hours_chart_text"),
        kind="stack",
        unit="J",
        start_ms=found.span[0],
        end_ms=found.span[1],
        curves=tuple(
            Curve(
                name,
                style,
                [
                    Slot(at, at + HOUR_MS, amounts[at][number] if at in amounts else None)
                    for at in hours
                ],
            )
            for number, (name, style) in enumerate(zip(names, PARTS, strict=True))
        ),
        ticks=hour_ticks(*found.span, site.zone),
        columns=(*names, language("sum"), language("certainty")),
        rows=tuple(rows),
        headline=language("total_of", value=kwh(language, whole)) if amounts else "",
    )


def parts_of(shares: Iterable[Share]) -> tuple[float, float, float, float]:
    """J: a host's own part, and of its guests the idle, the dynamic and the GPUs'."""
    shares = list(shares)
    guests = [share for share in shares if share.guest != OWN]
    return (
        fsum(share.energy for share in shares if share.guest == OWN),
        fsum(share.idle for share in guests),
        fsum(share.dynamic for share in guests),
        fsum(share.gpu for share in guests),
    )
