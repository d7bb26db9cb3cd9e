"""Site files: meters, boundary equations, connections and dated facts of one site, as TOML.

The file is what a person declares once; what happens later to a meter (readings on its dial,
replacements, factors) and events are entries in the ledger's registers and joined in by it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from jauge_models.boundaries import Equation, Place, Symbol, Term
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.counters import Dial
from jauge_models.intervals import Grade
from jauge_models.resources import is_name, is_resource
from jauge_models.topology import (
    MEASURES,
    Attribute,
    Commodity,
    Connection,
    Event,
    EventKind,
    Factor,
    Feed,
    Meter,
    Topology,
    Validity,
)

from jauge_collector import civil
from jauge_collector.config import read_text

_T = TypeVar("_T")

RESERVED: Final = frozenset({"api", "faults", "healthz", "metrics", "readyz", "sites", "static"})
"""Names that no site may have: the console serves something else there."""

INTERVAL_LENGTHS_S: Final = (300, 600, 900, 1800, 3600, 86400)


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class _Dated(_Section, frozen=True, kw_only=True):
    """Something that holds from a date to a date (excluded); open where absent."""

    valid_from: str | None = None
    """First day or moment at which it holds; open where absent."""
    valid_to: str | None = None
    """End, excluded; open where absent."""


class SiteSection(_Section, frozen=True, kw_only=True):
    """The site itself."""

    name: str
    """Name on the wire."""
    title: str = ""
    """Name for people."""
    time_zone: str = "Europe/Paris"
    """Zone of its months, quarters and years: ``Europe/Paris``, or fixed, ``UTC+01:00``."""
    simulated: bool = False
    """Whether its readings come from a model: every output then says so."""
    note: str = ""
    """Shown with every figure, e.g. where simulated values come from."""


class DialSection(_Section, frozen=True, kw_only=True):
    """What is known of a running total, in the meter's unit (kWh for electricity and heat)."""

    modulus: float | None = None
    """Value at which the total starts again at zero."""
    resolution: float = 0.0
    """Smallest step."""


class FactorSection(_Dated, frozen=True, kw_only=True):
    """A dated multiplier of raw values: CT ratio, pulse weight."""

    value: float
    """What raw values are multiplied by."""
    reason: str = ""
    """Why."""


class MeterSection(_Dated, frozen=True, kw_only=True):
    """A meter that counts for the site."""

    id: str
    """Identity, as it stands in equations; letters, digits, ``.``, ``_``, ``-``."""
    commodity: Commodity
    """``electricity``, ``water``, ``heat`` or ``fuel``."""
    feeds: list[str] = []
    """Where its readings come from, best first: ``agent/resource``. None: attested values only."""
    name: str = ""
    """Name for people; the id where empty."""
    location: str = ""
    """Where it hangs."""
    accuracy_class: str = ""
    """As printed on the meter, e.g. ``0.5S``, ``MID B``."""
    uncertainty: float | None = None
    """Relative standard error of meter and transformer together, e.g. 0.005."""
    interval_s: int = 900
    """Length of its ledger rows in seconds: 300, 600, 900, 1800, 3600 or 86400."""
    period_s: int = 3600
    """For period totals: how long each period is, in seconds."""
    max_gap_s: float = 180.0
    """How far apart power samples may lie and still be joined, in seconds."""
    rated_power_w: float | None = None
    """Most that can flow, for electricity and heat; lets wraps and false jumps be told."""
    rated_flow_m3_h: float | None = None
    """Most that can flow, for water and fuel."""
    dial: DialSection = DialSection()
    factors: list[FactorSection] = []
    grade: Grade | None = None
    """Lowers the grade that follows from how values are obtained."""
    counts: Literal["after_commissioning", "from_start"] = "after_commissioning"
    """A meter counts once two dial readings agree with the record, unless told otherwise."""
    reason: str = ""
    """Why it counts from the start."""


class TermSection(_Dated, frozen=True, kw_only=True):
    """One meter in an equation."""

    meter: str
    """Its id."""
    sign: Literal[1, -1] = 1
    """Whether it adds to the total or is deducted."""
    factor: float = 1.0
    """The share of the meter that belongs to the total."""
    reason: str = ""
    """Why the term is there, for a verifier."""
    evidence: str = ""
    """Where that can be seen: a drawing, a contract."""


class EquationSection(_Section, frozen=True, kw_only=True):
    """One total of the site."""

    symbol: Symbol
    """Which total."""
    terms: list[TermSection]
    place: Place | None = None
    """For E_IT: where it is metered. Decides the PUE category."""
    zone: str = ""
    """The part of the site that the total is of, for a partial PUE; empty for the whole site."""
    undeducted: list[str] = []
    """Loads the E_IT meters also see and no term deducts."""


class ConnectionSection(_Dated, frozen=True, kw_only=True):
    """What feeds what."""

    upstream: str
    """What feeds: the id of a meter or resource."""
    downstream: str
    """What is fed."""
    feed: str = ""
    """Name of the feed, e.g. ``A``."""


class EventSection(_Section, frozen=True, kw_only=True):
    """A planned event."""

    kind: EventKind
    """What happens."""
    begin: str
    """First moment, on the site's clock."""
    end: str
    """End, excluded."""
    subject: str = ""
    """Id of the meter or resource concerned; the whole site where empty."""
    reason: str = ""
    """Why."""


class AttributeSection(_Dated, frozen=True, kw_only=True):
    """A dated fact, e.g. the operator of the site or the tenant of a rack."""

    subject: str
    """What it is about: an id, or the site's name."""
    name: str
    """Which fact."""
    value: str
    """What holds."""


class EmissionSection(_Dated, frozen=True, kw_only=True):
    """A dated emission factor of purchased electricity."""

    kg_co2e_per_kwh: float
    """Emissions of a purchased kWh, in kgCO2e."""
    source: str
    """Who publishes it, and what it covers."""
    scope: Literal["direct", "life_cycle"]
    """Whether it covers the plants' own emissions or their whole life."""
    vintage: str = ""
    """The year that the figure is about."""


class SiteFile(_Section, frozen=True, kw_only=True):
    """Everything declared about one site."""

    site: SiteSection
    meters: list[MeterSection] = []
    equations: list[EquationSection] = []
    connections: list[ConnectionSection] = []
    events: list[EventSection] = []
    attributes: list[AttributeSection] = []
    emission_factors: list[EmissionSection] = []


@dataclass(frozen=True, slots=True)
class EmissionFactor:
    """kgCO2e per kWh, dated; factors of different scope never share a series."""

    value: float
    source: str
    scope: str
    vintage: str
    validity: Validity


@dataclass(frozen=True, slots=True)
class Site:
    """One site, with dates resolved to moments."""

    name: str
    title: str
    zone_name: str
    zone: tzinfo
    simulated: bool
    note: str
    topology: Topology
    equations: tuple[Equation, ...]
    emission_factors: tuple[EmissionFactor, ...]
    counting_from_start: frozenset[str]
    """Meters that need no commissioning."""
    file: Path

    def equation(self, symbol: Symbol, zone: str = "") -> Equation | None:
        """The equation of a total; of several E_IT, the one declared first leads."""
        return next(
            (e for e in self.equations if (e.symbol, e.zone) == (symbol, zone)),
            None,
        )

    def emission_factor(self, time_ms: int) -> EmissionFactor | None:
        """The factor in force; the one declared last where several."""
        for factor in reversed(self.emission_factors):
            if factor.validity.holds(time_ms):
                return factor
        return None


def load(path: Path) -> Site:
    """Read a site file. Raises ConfigurationError."""
    return resolve(parse(read_text(path), SiteFile, file=str(path)), path)


def resolve(declared: SiteFile, path: Path) -> Site:
    """Dates to moments and names to references. Raises ConfigurationError."""
    return _Resolver(declared, path).site()


class _Resolver:
    def __init__(self, declared: SiteFile, path: Path) -> None:
        self._declared = declared
        self._path = path
        self._zone = self._try("site.time_zone", lambda: civil.zone(declared.site.time_zone))

    def site(self) -> Site:
        section = self._declared.site
        if not is_name(section.name):
            raise self._wrong("site.name", f"{section.name!r} is no name", "use letters and digits")
        if section.name in RESERVED:
            raise self._wrong(
                "site.name", f"{section.name!r} is an address of the console", "choose another name"
            )
        meters = tuple(self._meter(i, m) for i, m in enumerate(self._declared.meters))
        self._refuse_twins()
        topology = Topology(
            meters=meters,
            connections=tuple(
                Connection(c.upstream, c.downstream, c.feed, self._validity(f"connections[{i}]", c))
                for i, c in enumerate(self._declared.connections)
            ),
            events=tuple(self._event(i, e) for i, e in enumerate(self._declared.events)),
            attributes=tuple(
                Attribute(a.subject, a.name, a.value, self._validity(f"attributes[{i}]", a))
                for i, a in enumerate(self._declared.attributes)
            ),
        )
        equations = tuple(self._equation(i, e) for i, e in enumerate(self._declared.equations))
        if not any(e.symbol is Symbol.E_IT for e in equations):
            raise self._wrong(
                "equations",
                "the site has no E_IT equation",
                "add [[equations]] with symbol = 'E_IT', a place and its meters",
            )
        return Site(
            name=section.name,
            title=section.title or section.name,
            zone_name=section.time_zone,
            zone=self._zone,
            simulated=section.simulated,
            note=section.note,
            topology=topology,
            equations=equations,
            emission_factors=tuple(
                EmissionFactor(
                    f.kg_co2e_per_kwh,
                    f.source,
                    f.scope,
                    f.vintage,
                    self._validity(f"emission_factors[{i}]", f),
                )
                for i, f in enumerate(self._declared.emission_factors)
            ),
            counting_from_start=frozenset(
                m.id for m in self._declared.meters if m.counts == "from_start"
            ),
            file=self._path,
        )

    def _meter(self, index: int, m: MeterSection) -> Meter:
        key = f"meters[{index}]"
        if not is_name(m.id) or ":" in m.id:
            raise self._wrong(f"{key}.id", f"{m.id!r} is no meter id", "use letters and digits")
        if m.interval_s not in INTERVAL_LENGTHS_S:
            lengths = ", ".join(str(length) for length in INTERVAL_LENGTHS_S)
            raise self._wrong(f"{key}.interval_s", str(m.interval_s), f"use one of {lengths}")
        if m.counts == "from_start" and not m.reason:
            raise self._wrong(
                f"{key}.reason", "missing", "say why the meter counts without commissioning"
            )
        energetic = MEASURES[m.commodity].unit == "J"
        to_base = 3.6e6 if energetic else 1.0
        rating = m.rated_power_w if energetic else m.rated_flow_m3_h
        misplaced = m.rated_flow_m3_h if energetic else m.rated_power_w
        if misplaced is not None:
            wrong, right = "rated_flow_m3_h", "rated_power_w"
            if not energetic:
                wrong, right = right, wrong
            raise self._wrong(f"{key}.{wrong}", f"does not fit {m.commodity}", f"use {right}")
        if rating is not None and not energetic:
            rating /= 3600
        return Meter(
            id=m.id,
            commodity=m.commodity,
            feeds=tuple(self._feed(f"{key}.feeds", text) for text in m.feeds),
            name=m.name or m.id,
            location=m.location,
            accuracy_class=m.accuracy_class,
            uncertainty=m.uncertainty,
            interval_ms=m.interval_s * 1000,
            period_ms=m.period_s * 1000,
            max_gap_ms=round(m.max_gap_s * 1000),
            dial=Dial(
                modulus=None if m.dial.modulus is None else m.dial.modulus * to_base,
                rating=rating,
                resolution=m.dial.resolution * to_base,
            ),
            grade=m.grade,
            factors=tuple(
                Factor(f.value, self._validity(f"{key}.factors[{i}]", f), f.reason)
                for i, f in enumerate(m.factors)
            ),
            validity=self._validity(key, m),
        )

    def _feed(self, key: str, text: str) -> Feed:
        agent, _, resource = text.partition("/")
        if not is_name(agent) or not is_resource(resource):
            raise self._wrong(key, f"{text!r} is no feed", "write 'agent/kind:id'")
        return Feed(agent, resource)

    def _refuse_twins(self) -> None:
        seen: set[str] = set()
        fed: dict[str, str] = {}
        for index, meter in enumerate(self._declared.meters):
            if meter.id in seen:
                raise self._wrong(
                    f"meters[{index}].id", f"meter {meter.id!r} is named twice", "rename one"
                )
            seen.add(meter.id)
            for feed in meter.feeds:
                if fed.setdefault(f"{meter.commodity} {feed}", meter.id) != meter.id:
                    raise self._wrong(
                        f"meters[{index}].feeds",
                        f"{feed!r} already feeds another meter",
                        "give each meter its own resource",
                    )

    def _equation(self, index: int, e: EquationSection) -> Equation:
        key = f"equations[{index}]"
        known = {m.id: m.commodity for m in self._declared.meters}
        if not e.terms:
            raise self._wrong(f"{key}.terms", "is empty", "name at least one meter")
        if e.symbol is Symbol.E_IT and e.place is None:
            places = ", ".join(place.value for place in Place)
            raise self._wrong(f"{key}.place", "missing for E_IT", f"use one of {places}")
        for i, term in enumerate(e.terms):
            if term.meter not in known:
                raise self._wrong(
                    f"{key}.terms[{i}].meter",
                    f"no meter {term.meter!r}",
                    f"known are {', '.join(sorted(known))}" if known else "declare it",
                )
        return Equation(
            symbol=e.symbol,
            terms=tuple(
                Term(
                    t.meter,
                    t.sign,
                    t.factor,
                    self._validity(f"{key}.terms[{i}]", t),
                    t.reason,
                    t.evidence,
                )
                for i, t in enumerate(e.terms)
            ),
            place=e.place,
            zone=e.zone,
            undeducted=tuple(e.undeducted),
        )

    def _event(self, index: int, e: EventSection) -> Event:
        key = f"events[{index}]"
        begin = self._moment(f"{key}.begin", e.begin)
        end = self._moment(f"{key}.end", e.end)
        if end <= begin:
            raise self._wrong(f"{key}.end", "is not after begin", "swap them")
        return Event(e.kind, Validity(begin, end), e.subject, e.reason)

    def _validity(self, key: str, dated: _Dated) -> Validity:
        span = Validity(
            None
            if dated.valid_from is None
            else self._moment(f"{key}.valid_from", dated.valid_from),
            None if dated.valid_to is None else self._moment(f"{key}.valid_to", dated.valid_to),
        )
        if span.from_ms is not None and span.to_ms is not None and span.to_ms <= span.from_ms:
            raise self._wrong(f"{key}.valid_to", "is not after valid_from", "swap them")
        return span

    def _moment(self, key: str, text: str) -> int:
        return self._try(key, lambda: civil.moment_ms(text, self._zone))

    def _try(self, key: str, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except ValueError as error:
            raise self._wrong(key, str(error)) from None

    def _wrong(self, key: str, problem: str, fix: str = "") -> ConfigurationError:
        return ConfigurationError(str(self._path), key, problem, fix)


def load_all(paths: Iterable[Path]) -> dict[str, Site]:
    """Every site by name. Raises ConfigurationError, also where two files name one site."""
    sites: dict[str, Site] = {}
    for path in paths:
        site = load(path)
        if site.name in sites:
            raise ConfigurationError(
                str(path), "site.name", f"{site.name!r} is also declared by {sites[site.name].file}"
            )
        sites[site.name] = site
    return sites
