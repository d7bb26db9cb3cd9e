"""Sites: what a site file declares, checked, with dates as moments and names as references.

The file is what a person declares once; what happens later to a meter (readings on its dial,
replacements, factors) and events are entries in the ledger's registers and joined in by it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Final, TypeVar

from jauge_models.attribution import IdlePolicy
from jauge_models.boundaries import WATER, Equation, Place, Symbol, Term
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.counters import Dial
from jauge_models.resources import is_name, is_resource, kind_of
from jauge_models.topology import (
    MEASURES,
    Attribute,
    Commodity,
    Connection,
    Event,
    Factor,
    Feed,
    Meter,
    Topology,
    Validity,
)

from jauge_collector import civil
from jauge_collector.agent_list import AgentList
from jauge_collector.circuits import Circuit, resolve_circuits
from jauge_collector.config import read_text
from jauge_collector.connection_file import read_connections
from jauge_collector.declared_hosts import Host, resolve_hosts
from jauge_collector.registers.files import RegistersSection
from jauge_collector.site_file import (
    CapacitySection,
    ConnectionSection,
    Dated,
    EquationSection,
    EventSection,
    MeterSection,
    SiteFile,
    TermSection,
)

_T = TypeVar("_T")

RESERVED: Final = frozenset(
    {
        "alerts",
        "api",
        "audit",
        "faults",
        "healthz",
        "login",
        "logout",
        "metrics",
        "readyz",
        "runbooks",
        "sites",
        "static",
    }
)
"""Names that no site may have: the console serves something else there."""

REPEATED: Final = frozenset(
    {"host", "package", "core", "uncore", "dram", "platform", "gpu", "psu", "psu_output", "sensor"}
)
"""Kinds whose ids repeat from machine to machine: they name nothing without their agent."""

INTERVAL_LENGTHS_S: Final = (300, 600, 900, 1800, 3600, 86400)

DIESEL_J_PER_M3: Final = 3.564e10
"""9.9 kWh/L (EN 50600-4)."""


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
    agents: AgentList | None = None
    """Who may report; None where anybody may."""
    hosts: tuple[Host, ...] = ()
    """Declared machines, no meters: other hosts are those that agents report."""
    circuits: tuple[Circuit, ...] = ()
    """Phases behind breakers, with what may flow through each."""
    idle: IdlePolicy = IdlePolicy.ALLOCATION
    """Who answers for idle power."""
    registers: RegistersSection = field(default_factory=RegistersSection)
    """Names of the officer's files; `registers.files.load` reads them."""
    capacity: CapacitySection = field(default_factory=CapacitySection)
    """For the planner of GPU workloads; `capacity.plant_file.load` reads its plant."""

    def equation(self, symbol: Symbol, zone: str = "") -> Equation | None:
        """The equation of a total; of several E_IT, the one declared first leads."""
        return next(
            (e for e in self.equations if (e.symbol, e.zone) == (symbol, zone)),
            None,
        )

    def further(self, symbol: Symbol) -> tuple[Equation, ...]:
        """Equations of a total of the whole site after the first one, in the order declared."""
        return tuple(e for e in self.equations if (e.symbol, e.zone) == (symbol, ""))[1:]

    def emission_factor(self, time_ms: int) -> EmissionFactor | None:
        """The factor in force; the one declared last where several."""
        for factor in reversed(self.emission_factors):
            if factor.validity.holds(time_ms):
                return factor
        return None


def is_feed(name: str) -> bool:
    """Whether a name is ``agent/resource``."""
    agent, _, resource = name.partition("/")
    return is_name(agent) and is_resource(resource)


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
        self._connections = self._all_connections()
        self._zone = self._try("site.time_zone", lambda: civil.zone(declared.site.time_zone))

    def site(self) -> Site:
        section = self._declared.site
        if not is_name(section.name):
            raise self._wrong("site.name", f"{section.name!r} is no name", "use letters and digits")
        if section.name in RESERVED:
            raise self._wrong(
                "site.name", f"{section.name!r} is an address of the console", "choose another name"
            )
        agents = self._agents(section.agents)
        meters = tuple(self._meter(i, m) for i, m in enumerate(self._declared.meters))
        self._refuse_twins()
        hosts = self._hosts()
        self._refuse_unknown_subjects()
        topology = Topology(
            meters=meters,
            connections=tuple(
                Connection(c.upstream, c.downstream, c.feed, self._validity(key, c))
                for key, c in self._connections
            ),
            events=tuple(self._event(i, e) for i, e in enumerate(self._declared.events)),
            attributes=tuple(
                Attribute(a.subject, a.name, a.value, self._validity(f"attributes[{i}]", a))
                for i, a in enumerate(self._declared.attributes)
            ),
        )
        equations = tuple(self._equation(i, e) for i, e in enumerate(self._declared.equations))
        self._refuse_twin_equations()
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
            agents=agents,
            hosts=hosts,
            circuits=self._circuits(),
            idle=self._declared.attribution.idle,
            registers=self._declared.registers,
            capacity=self._declared.capacity,
        )

    def _hosts(self) -> tuple[Host, ...]:
        validities = self._validities("hosts", self._declared.hosts)
        return resolve_hosts(self._declared, validities, self._path)

    def _circuits(self) -> tuple[Circuit, ...]:
        validities = self._validities("circuits", self._declared.circuits)
        return resolve_circuits(self._declared, validities, self._path)

    def _validities(self, name: str, sections: Iterable[Dated]) -> dict[str, Validity]:
        keyed = ((f"{name}[{i}]", section) for i, section in enumerate(sections))
        return {key: self._validity(key, section) for key, section in keyed}

    def _all_connections(self) -> list[tuple[str, ConnectionSection]]:
        """Those of the site file and of its connections file, each with where it stands."""
        declared = self._declared
        found = [(f"connections[{i}]", c) for i, c in enumerate(declared.connections)]
        if declared.site.connections_file is not None:
            file = self._path.parent / declared.site.connections_file
            found += [(f"{file.name}:{line}", c) for line, c in read_connections(file)]
        return found

    def _agents(self, patterns: list[str] | None) -> AgentList | None:
        if patterns is None:
            return None
        if not patterns:
            raise self._wrong(
                "site.agents", "names nobody", "name the agents, or leave it out to take any"
            )
        for i, pattern in enumerate(patterns):
            if not is_name(pattern.replace("*", "x")):
                raise self._wrong(
                    f"site.agents[{i}]", f"{pattern!r} is no name", "letters, digits and '*'"
                )
        return AgentList(patterns)

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

    def _refuse_unknown_subjects(self) -> None:
        """Names that nothing has: the site would be read as if they stood nowhere."""
        declared = self._declared
        known = {m.id for m in declared.meters} | {h.id for h in declared.hosts}
        feeds = [feed for meter in declared.meters for feed in meter.feeds]
        feeds += [feed for host in declared.hosts for feed in host.feeds]
        known |= {name for feed in feeds for name in (feed, feed.partition("/")[2])}
        named: list[tuple[str, str]] = []
        for key, c in self._connections:
            if c.upstream == c.downstream:
                raise self._wrong(f"{key}.downstream", "feeds itself", "correct one end")
            named += [(f"{key}.{end}", getattr(c, end)) for end in ("upstream", "downstream")]
        named += [(f"events[{i}].subject", e.subject) for i, e in enumerate(declared.events)]
        for key, name in named:
            whole_site = name == "" and key.startswith("events")
            if not (
                whole_site or name in known or (":" in name and is_resource(name)) or is_feed(name)
            ):
                raise self._wrong(key, f"{name!r} is unknown", self._known_subjects("'pdu:a1'"))
        for i, fact in enumerate(declared.attributes):
            name = fact.subject
            if not (
                name in known | {declared.site.name}
                or is_feed(name)
                or (":" in name and is_name(name))
            ):
                raise self._wrong(
                    f"attributes[{i}].subject",
                    f"{name!r} is unknown",
                    self._known_subjects(f"'rack:a12', the site's name {declared.site.name!r}"),
                )
            own = {m.id for m in declared.meters} | {h.id for h in declared.hosts}
            if (
                name not in own | {declared.site.name}
                and is_resource(name)
                and kind_of(name) in REPEATED
            ):
                raise self._wrong(
                    f"attributes[{i}].subject",
                    f"{name!r} may be of any machine",
                    f"write 'agent/{name}', or 'agent:NAME' for all of an agent",
                )

    def _known_subjects(self, others: str) -> str:
        hosts = [host.id for host in self._declared.hosts]
        known = sorted([*(meter.id for meter in self._declared.meters), *hosts])
        what = "a meter or host" if hosts else "a meter"
        return f"write 'kind:id' such as {others}, or {what}: {', '.join(known) or 'none'}"

    def _refuse_twin_equations(self) -> None:
        seen: set[tuple[Symbol, str, Place | None]] = set()
        for i, e in enumerate(self._declared.equations):
            what = (e.symbol, e.zone, e.place if e.symbol is Symbol.E_IT else None)
            if what in seen:
                of = f" of zone {e.zone!r}" if e.zone else ""
                fix = "give it another place, or date" if e.symbol is Symbol.E_IT else "date"
                raise self._wrong(
                    f"equations[{i}].symbol",
                    f"{e.symbol}{of} is declared twice",
                    f"{fix} the terms of one equation with valid_from and valid_to",
                )
            seen.add(what)

    def _check_commodity(self, key: str, symbol: Symbol, term: TermSection, of: Commodity) -> None:
        """A total is a sum of one unit: J, or m3 of water."""
        if symbol in WATER:
            if of is not Commodity.WATER:
                raise self._wrong(
                    f"{key}.meter",
                    f"{term.meter!r} measures {of} in {MEASURES[of].unit}, {symbol} is m3 of water",
                    "name a water meter",
                )
        elif of is Commodity.WATER:
            raise self._wrong(
                f"{key}.meter",
                f"{term.meter!r} measures water in m3, {symbol} is energy in J",
                "name a meter of electricity, heat or fuel",
            )
        elif of is Commodity.FUEL and term.joules_per_m3 is None:
            raise self._wrong(
                f"{key}.joules_per_m3",
                f"missing: {term.meter!r} measures fuel in m3, {symbol} is energy in J",
                f"add the fuel's energy content, joules_per_m3 = {DIESEL_J_PER_M3:g} for diesel "
                "(9.9 kWh/L, EN 50600-4)",
            )
        if term.joules_per_m3 is not None and of is not Commodity.FUEL:
            raise self._wrong(
                f"{key}.joules_per_m3", f"{term.meter!r} measures {of}, no fuel", "drop it"
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
            self._check_commodity(f"{key}.terms[{i}]", e.symbol, term, known[term.meter])
        terms = tuple(
            Term(
                t.meter,
                t.sign,
                t.factor * (t.joules_per_m3 or 1),
                self._validity(f"{key}.terms[{i}]", t),
                t.reason,
                t.evidence,
            )
            for i, t in enumerate(e.terms)
        )
        held: dict[str, list[Validity]] = {}
        for i, term_in in enumerate(terms):
            if any(term_in.validity.overlaps(other) for other in held.get(term_in.meter, ())):
                raise self._wrong(
                    f"{key}.terms[{i}].meter",
                    f"{term_in.meter!r} is there twice at one time",
                    "drop one, or part them with valid_from and valid_to",
                )
            held.setdefault(term_in.meter, []).append(term_in.validity)
        return Equation(
            symbol=e.symbol,
            terms=terms,
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

    def _validity(self, key: str, dated: Dated) -> Validity:
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
