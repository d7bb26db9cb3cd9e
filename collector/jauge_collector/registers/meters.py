"""The life of a meter after its declaration: dial readings, commissioning, replacements, factors.

Entries hold base units (J, m3) of the dial, as raw values do: factors apply to both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from jauge_models.boundaries import WHOLE
from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import Basis, Interval, Point, Replacement, from_register
from jauge_models.topology import MEASURES, Event, Factor, Meter, Topology, Validity

from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.ledger.computation import suspensions
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.events import event_of, holding
from jauge_collector.sites import Site

READING: Final = "reading"
REPLACEMENT: Final = "replacement"
FACTOR: Final = "factor"
COMMISSIONING: Final = "commissioning"
CALIBRATION: Final = "calibration"

DIAL_UNIT: Final = {"J": "kWh", "m3": "m3"}
"""What a dial shows, by base unit of the commodity."""
PER_DIAL_UNIT: Final = {"J": 3.6e6, "m3": 1.0}

MOST: Final = 1e21
"""More than any dial shows, in J or m3: what lies above is a slip, and its sums overflow."""
MOST_FACTOR: Final = 1e9


def topology_of(ledger: Ledger, site: Site) -> Topology:
    """The site file's topology joined with replacements, factors and events of the registers."""
    factors: dict[str, list[Factor]] = {}
    for entry in sorted(ledger.entries(site.name, FACTOR), key=lambda e: e.id):
        factors.setdefault(entry.subject, []).append(
            Factor(
                float(entry.content["value"]),
                Validity(entry.start_ms, entry.end_ms),
                str(entry.content.get("reason", "")),
            )
        )
    replacements: dict[str, list[Replacement]] = {}
    for entry in ledger.entries(site.name, REPLACEMENT):
        replacements.setdefault(entry.subject, []).append(
            Replacement(
                entry.start_ms, float(entry.content["final"]), float(entry.content["first"])
            )
        )
    events: list[Event] = [event_of(entry) for entry in holding(ledger, site.name)]
    declared = site.topology
    return Topology(
        meters=tuple(
            replace(
                meter,
                factors=(*meter.factors, *factors.get(meter.id, ())),
                replacements=(*meter.replacements, *replacements.get(meter.id, ())),
            )
            for meter in declared.meters
        ),
        connections=declared.connections,
        events=(*declared.events, *events),
        attributes=declared.attributes,
    )


def meter_of(site: Site, name: str) -> Meter:
    """A meter of the site file. Raises ConfigurationError."""
    try:
        return site.topology.meter(name)
    except KeyError:
        known = ", ".join(meter.id for meter in site.topology.meters)
        raise ConfigurationError(
            "--meter", "", f"site {site.name} has no meter {name!r}", f"known are {known}"
        ) from None


def to_base(meter: Meter, value: float) -> float:
    """A value of the meter's dial (kWh or m3) in its base unit."""
    return value * PER_DIAL_UNIT[MEASURES[meter.commodity].unit]


def dial_unit(meter: Meter) -> str:
    """Unit of the meter's dial: kWh or m3."""
    return DIAL_UNIT[MEASURES[meter.commodity].unit]


def dial_points(ledger: Ledger, site: str, meter: str) -> list[Point]:
    """Dial readings that people entered, in base units, in time order."""
    return [
        Point(entry.start_ms, float(entry.content["base"]))
        for entry in ledger.entries(site, READING, meter)
    ]


def attended_ms(ledger: Ledger, site: str) -> dict[str, tuple[int, ...]]:
    """Moments at which a person read or replaced each meter: what ends a suspension."""
    moments: dict[str, list[int]] = {}
    for kind in (READING, REPLACEMENT):
        for entry in ledger.entries(site, kind):
            moments.setdefault(entry.subject, []).append(entry.start_ms)
    return {meter: tuple(sorted(found)) for meter, found in moments.items()}


def check_reading(base: float, *, at_ms: int, now_ms: int, entered: str = "") -> None:
    """Raises ConfigurationError where a value in base units is none that a dial has shown."""
    _not_ahead("--at", at_ms, now_ms)
    _on_a_dial("--reading", base, entered)


def enter_reading(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    base: float,
    *,
    at_ms: int,
    now_ms: int,
    entered: str = "",
    signatory: str = "",
    document: str | None = None,
    note: str = "",
    corrects: int | None = None,
) -> int:
    """Keep what a person read on the dial; ``entered`` is the value and unit as typed.

    Raises ConfigurationError as `check_reading`, and where the dial showed another value then.
    """
    check_reading(base, at_ms=at_ms, now_ms=now_ms, entered=entered)
    _refuse_another(ledger.entries(site.name, READING, meter.id), base, at_ms, corrects)
    return ledger.append(
        site.name,
        READING,
        meter.id,
        start_ms=at_ms,
        content={"base": base, "entered": entered, "note": note},
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
        restates=[(meter.id, at_ms, None)],
    )


def enter_replacement(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    change: Replacement,
    *,
    now_ms: int,
    reason: str = "",
    signatory: str = "",
    corrects: int | None = None,
) -> int:
    """Keep a change of meter: the old one's final and the new one's first index, base units."""
    _not_ahead("--at", change.time_ms, now_ms)
    _on_a_dial("--final", change.final)
    _on_a_dial("--first", change.first)
    return ledger.append(
        site.name,
        REPLACEMENT,
        meter.id,
        start_ms=change.time_ms,
        content={"final": change.final, "first": change.first, "reason": reason},
        now_ms=now_ms,
        signatory=signatory,
        corrects=corrects,
        restates=[(meter.id, change.time_ms, None)],
    )


def enter_factor(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    factor: Factor,
    *,
    now_ms: int,
    signatory: str = "",
    corrects: int | None = None,
) -> int:
    """Keep a dated factor; of several that hold at a moment the one entered last does."""
    if not 0 < factor.value <= MOST_FACTOR:
        raise ConfigurationError(
            "--value", "", f"{factor.value:g} is no factor", "give one above 0, e.g. 40"
        )
    start_ms = factor.validity.from_ms or 0
    return ledger.append(
        site.name,
        FACTOR,
        meter.id,
        start_ms=start_ms,
        end_ms=factor.validity.to_ms,
        content={"value": factor.value, "reason": factor.reason},
        now_ms=now_ms,
        signatory=signatory,
        corrects=corrects,
        restates=[(meter.id, start_ms, factor.validity.to_ms)],
    )


class DisagreementError(LedgerError):
    """Dial and record do not agree: the meter does not count."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a dial and the record say between two moments; amounts in base units.

    ``recorded`` covers ``coverage`` of the time. ``allowed`` is how far they may differ.
    """

    first: Point
    second: Point
    on_dial: float
    recorded: float
    coverage: float
    allowed: float

    @property
    def covered(self) -> bool:
        """Whether the record holds enough of the time to be compared."""
        return self.coverage >= WHOLE

    @property
    def agrees(self) -> bool:
        """Whether the meter may count."""
        return (
            self.covered and self.on_dial > 0 and abs(self.recorded - self.on_dial) <= self.allowed
        )

    @property
    def relative(self) -> float | None:
        """How far the record is from the dial, of the dial's amount; None without any."""
        return (self.recorded - self.on_dial) / self.on_dial if self.on_dial else None


def compare(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    first: Point,
    second: Point,
    *,
    tolerance: float,
    multiplier: float,
) -> Comparison:
    """The record between two dial readings beside what the dial advanced.

    ``multiplier`` is the one printed on the dial (a transformer's, say). Raises
    ConfigurationError where the readings make no difference, or the multiplier is none.
    """
    if not 0 < multiplier <= MOST_FACTOR:
        raise ConfigurationError("--multiplier", "", f"{multiplier:g} is none", "give e.g. 40")
    if second.time_ms <= first.time_ms:
        raise ConfigurationError("--at", "", "the second reading is not later", "swap them")
    joined = topology_of(ledger, site).meter(meter.id)
    step = from_register(
        (first, second),
        first.time_ms,
        second.time_ms,
        dial=replace(joined.dial, rating=math.inf),
        max_gap_ms=meter.max_gap_ms,
        replacements=joined.replacements,
    )
    if step.amount is None:
        raise ConfigurationError(
            "--reading",
            "",
            "the dial went backwards",
            "check both readings, or enter a replacement between them",
        )
    on_dial = step.amount * multiplier
    rows = ledger.current(site.name, meter.id, first.time_ms, second.time_ms)
    amount, covered = recorded((row.interval for row in rows), first.time_ms, second.time_ms)
    return Comparison(
        first,
        second,
        on_dial,
        amount,
        covered / (second.time_ms - first.time_ms),
        max(tolerance * on_dial, meter.dial.resolution * multiplier),
    )


def enter_commissioning(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    found: Comparison,
    *,
    now_ms: int,
    signatory: str = "",
) -> int:
    """Let a meter count from the first of two dial readings that agree with the record.

    Raises DisagreementError where they do not.
    """
    if not found.agrees:
        raise DisagreementError(f"{meter.id}: dial and record do not agree")
    return ledger.append(
        site.name,
        COMMISSIONING,
        meter.id,
        start_ms=found.first.time_ms,
        end_ms=found.second.time_ms,
        content={
            "first": found.first.value,
            "second": found.second.value,
            "on_dial": found.on_dial,
            "recorded": found.recorded,
            "coverage": found.coverage,
            "allowed": found.allowed,
        },
        now_ms=now_ms,
        signatory=signatory,
    )


def suspended_since(ledger: Ledger, site: Site) -> dict[str, int]:
    """Meters that are suspended after an undeclared jump, and since when."""
    attended = attended_ms(ledger, site.name)
    found: dict[str, int] = {}
    for meter, jumps in ledger.jumps(site.name).items():
        for since, lifted in suspensions(jumps, attended.get(meter, ())):
            if lifted is None:
                found[meter] = min(since, found.get(meter, since))
    return found


def life_of(ledger: Ledger, site: Site, meter: Meter) -> list[Entry]:
    """Every entry about a meter in the order entered, corrected ones included."""
    kinds = (READING, REPLACEMENT, FACTOR, COMMISSIONING, CALIBRATION)
    found = [e for k in kinds for e in ledger.entries(site.name, k, meter.id, corrected=True)]
    return sorted(found, key=lambda entry: entry.id)


def recorded(rows: Iterable[Interval], start_ms: int, end_ms: int) -> tuple[float, float]:
    """Amount and covered ms of computed rows in [start, end), split linearly at its bounds.

    Without what was signed for, and without what a wrong clock stamped.
    """
    amount = covered = 0.0
    for row in rows:
        if row.amount is None or row.basis is Basis.ATTESTED or not row.is_comparable:
            continue
        share = (min(row.end_ms, end_ms) - max(row.start_ms, start_ms)) / row.length_ms
        amount += row.amount * share
        covered += row.covered_ms * share
    return amount, covered


def _on_a_dial(option: str, base: float, entered: str = "") -> None:
    if not 0 <= base <= MOST:
        raise ConfigurationError(
            option,
            "",
            f"{entered or f'{base:g}'} is no dial reading",
            "enter what the dial shows, 0 or more",
        )


def _refuse_another(others: Iterable[Entry], base: float, at_ms: int, corrects: int | None) -> None:
    """Of two values at one time what lies between them would have flowed at none.

    A correction may stay where it is.
    """
    then = [other for other in others if other.start_ms == at_ms]
    if any(other.id == corrects for other in then):
        return
    for other in then:
        if float(other.content["base"]) != base:
            told = other.content.get("entered") or f"{other.content['base']:g}"
            raise ConfigurationError(
                "--at",
                "",
                f"reading {other.id} of {other.subject} says {told} at that time",
                f"correct that with --corrects {other.id}, or enter a replacement of the meter",
            )


def _not_ahead(option: str, at_ms: int, now_ms: int) -> None:
    if at_ms > now_ms:
        raise ConfigurationError(option, "", "lies in the future", "enter what has been read")
