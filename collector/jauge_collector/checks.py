"""What may be stored: every pack and every record is judged here, without any I/O.

A pack that fails as a whole raises PackError; records that fail are left out of the rest.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter, ge, le
from typing import Final, NamedTuple, cast

from jauge_models.budgets import Budgets, Family, Rations, family_of, owner_of
from jauge_models.effectiveness import DAY_MS
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Flaw, Reading, flaw_of
from jauge_models.resources import Series
from jauge_models.wire import (
    Address,
    Channel,
    Pack,
    Reason,
    Record,
    WireError,
    claimed_head,
    decode_pack,
    parse_topic,
)

from jauge_collector.agent_list import AgentList
from jauge_collector.packs import Names, PackReadings

FUTURE_MS: Final = 60_000
"""How far ahead of the collector's clock a reading may be stamped."""

MAX_SERIES_OF_AGENT: Final = 100_000
"""Series that one agent may bring in a day, unless configured: no store's index is free."""

MAX_SERIES: Final = 2_000_000
"""Series that all agents may bring in a day, unless configured: each takes 300 bytes here."""

MAX_AGENTS: Final = 20_000
MAX_FORM_RECORDS: Final = 2_000_000
MAX_FORMS_OF_AGENT: Final = 8
"""Limits of what is remembered to make checks fast; beyond them it is learnt anew."""

TOO_OLD: Final = str(Reason.TOO_OLD)
"""Why a record is left out beyond what `flaw_of` says: others of its pack are recent enough."""

SERIES: Final = "series"
"""Why a record is left out: its agent has brought as many series as it may, and this is new."""

SERIES_IN_ALL: Final = "series_in_all"
"""The same of all agents together."""

OVER_BUDGET: Final[Mapping[Family, str]] = {family: f"budget_{family}" for family in Family}
"""The same of one host, guest or GPU."""

REFUSED: Final = frozenset({Reason.ADDRESS, Reason.LIMITS, Reason.TOO_OLD})
"""Reasons that are answered: the agent deletes the batch and counts it. Others get no answer.

An unlisted agent gets none either: the list may be completed an hour later, or be complete in
another collector of the site, and until then its spool keeps what it has (docs/decisions/0009).
"""

MALFORMED: Final = frozenset({Reason.UNDECODABLE, Reason.VERSION, Reason.ADDRESS, Reason.LIMITS})
"""What no agent sends in numbers: `limits.malformed_per_s` holds for it."""

_own_time = attrgetter("t")


class PackError(WireError):
    """A pack that is not stored. ``refusal`` says whom to tell and of which boot and batch.

    It is None where the agent gets no answer: because the pack may come again and be right, or
    because site or agent are not known to this collector, and perhaps to another one.
    """

    def __init__(
        self, reason: Reason, detail: str, refusal: tuple[Address, str, int] | None = None
    ) -> None:
        super().__init__(reason, detail)
        self.refusal = refusal


class Batch(NamedTuple):
    """A checked pack: what of it may be stored. Times in milliseconds since the epoch."""

    address: Address
    boot: str
    seq: int
    oldest_ms: int
    """All of the agent before this moment is settled; never later than now or than the pack."""
    time_ms: int
    readings: Sequence[Reading]
    times_ms: set[int]
    """Every time stamp that occurs in ``readings``."""
    left_out: list[tuple[str, Record]]
    """Records that are not stored, each with its bounded reason."""


class Use(NamedTuple):
    """What an agent has brought since its day began. Times in milliseconds since the epoch."""

    since_ms: int
    series: int
    """Of all resources, also those that have no budget."""
    used: Mapping[str, int]
    """Series that count against the budget of a resource, by its name."""
    left_out: Mapping[str, int]
    """Readings of new series beyond the budget of a resource, by its name."""


class _Known(NamedTuple):
    """A name that was right; of all agents that have it."""

    resource: str
    quantity: str
    unit: str
    low: float
    high: float


class _Form:
    """Names, units and ranges of the records of a pack that was right in every one.

    Most packs have the form of one before, and agents on like machines share theirs.
    """

    def __init__(self, names: list[str], known: Sequence[_Known]) -> None:
        self._names = names
        self._shared = Names((entry.resource, entry.quantity) for entry in known)
        self._units = [entry.unit for entry in known]
        self._lows = [entry.low for entry in known]
        self._highs = [entry.high for entry in known]

    def readings(
        self, records: Sequence[Record], address: Address, time_ms: int
    ) -> PackReadings | None:
        """Readings of a pack of this form in which all is right; None of any other.

        The same judgement as record by record, in a third of the time.
        """
        if [record.n for record in records] != self._names:
            return None
        if [record.u for record in records] != self._units or any(map(_own_time, records)):
            return None
        values = cast(list[float], [record.v for record in records])
        try:
            if not (all(map(le, self._lows, values)) and all(map(ge, self._highs, values))):
                return None
        except TypeError:  # a record without a value
            return None
        return PackReadings(address, self._shared, time_ms, values)


class _Sender:
    """What is known of the packs of one topic."""

    def __init__(self, address: Address, now_ms: int, budgets: Budgets) -> None:
        self.address = address
        self.since_ms = now_ms
        self.rations = Rations(budgets)
        self.over: Counter[str] | None = None
        """Readings left out of resources that have used up their budget, where there are any."""
        self.known: dict[str, _Known] = {}
        self.forms: dict[int, _Form] = {}
        """By number of records: sources that tick at different periods make different packs."""

    @property
    def form_records(self) -> int:
        """Records of its forms, which is what they take up."""
        return sum(self.forms)


class Checks:
    """Judges packs of the sites it is given; remembers series so that judging again is cheap."""

    def __init__(
        self,
        sites: Iterable[str],
        *,
        agents: Mapping[str, AgentList | None] | None = None,
        series_per_agent: int = MAX_SERIES_OF_AGENT,
        series_in_all: int = MAX_SERIES,
        most_agents: int = MAX_AGENTS,
        budgets: Budgets | None = None,
    ) -> None:
        """``agents`` may name, by site, who may report; any agent where it does not."""
        self.budgets = budgets or Budgets()
        self.sites = frozenset(sites)
        self.series = 0
        """Series known of all agents together."""
        self.series_limit = series_in_all
        self._listed = dict(agents or {})
        self._series_per_agent = series_per_agent
        self._most_agents = most_agents
        self._senders: dict[str, _Sender] = {}
        self._over_budget: dict[Address, None] = {}
        self._names: dict[str, _Known] = {}
        """Names of records, which senders share."""
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._form_records = 0
        """Of all senders' forms."""
        self._shared_records = 0
        """Of ``_forms``, which senders share."""

    def address(self, topic: str) -> tuple[Address, Channel]:
        """Sender and channel of a topic of a known agent of a known site; raises WireError."""
        address, channel = parse_topic(topic)
        if address.site not in self.sites:
            raise WireError(Reason.ADDRESS, f"no site {address.site!r}")
        listed = self._listed.get(address.site)
        if listed is not None and address.agent not in listed:
            raise WireError(Reason.UNKNOWN_AGENT, f"{address.agent!r} is not among site.agents")
        return address, channel

    def knows(self, topic: str) -> bool:
        """Whether a topic is one of an agent that may report."""
        try:
            self.address(topic)
        except WireError:
            return False
        return True

    def use(self, address: Address) -> Use | None:
        """What an agent has brought; None before its first pack."""
        sender = self._senders.get(address.topic(Channel.READINGS))
        if sender is None:
            return None
        over: Mapping[str, int] = sender.over or {}
        return Use(sender.since_ms, len(sender.known), sender.rations.used, dict(over))

    def over_budget(self) -> list[Address]:
        """Agents of which something was left out because a budget is used up."""
        return list(self._over_budget)

    def batch(self, topic: str, payload: bytes, now_ms: int, oldest_ms: int) -> Batch:
        """Judge a message of a readings topic; nothing older than ``oldest_ms`` is accepted.

        Raises PackError.
        """
        try:
            sender = self._senders.get(topic) or self._learn(topic, now_ms)
        except WireError as error:
            raise PackError(error.reason, error.detail) from None
        try:
            pack = decode_pack(payload, sender.address)
        except WireError as error:
            head = claimed_head(payload) if error.reason in REFUSED else None
            refusal = (sender.address, *head) if head else None
            raise PackError(error.reason, error.detail, refusal) from None
        if pack.time_ms > now_ms + FUTURE_MS:
            raise PackError(Reason.FUTURE, f"{pack.time_ms - now_ms} ms ahead")
        if pack.time_ms < oldest_ms:
            raise _too_old(pack, oldest_ms)
        if abs(now_ms - sender.since_ms) >= DAY_MS:
            self._begin_day(sender, now_ms)
        form = sender.forms.get(len(pack.records))
        if form and (readings := form.readings(pack.records, sender.address, pack.time_ms)):
            return _batch(pack, now_ms, readings, {pack.time_ms}, [])
        return self._one_by_one(sender, pack, now_ms, oldest_ms)

    def _one_by_one(self, sender: _Sender, pack: Pack, now_ms: int, oldest_ms: int) -> Batch:
        latest_ms = now_ms + FUTURE_MS
        readings: list[Reading] = []
        right: list[_Known] = []
        left_out: list[tuple[str, Record]] = []
        times_ms: set[int] = set()
        for record in pack.records:
            value = record.v
            entry = sender.known.get(record.n) or self._learn_series(sender, record)
            if isinstance(entry, str):
                left_out.append((entry, record))
                continue
            if value is None or record.u != entry.unit or not entry.low <= value <= entry.high:
                left_out.append((_flaw_of(record) or Flaw.VALUE, record))
                continue
            time_ms = pack.time_ms + round(record.t * 1000)
            if oldest_ms <= time_ms <= latest_ms:
                series = Series(*sender.address, entry.resource, entry.quantity)
                readings.append(Reading(series, time_ms, value))
                right.append(entry)
                times_ms.add(time_ms)
            elif time_ms > latest_ms:
                raise PackError(Reason.FUTURE, f"{time_ms - now_ms} ms ahead")
            else:
                left_out.append((TOO_OLD, record))
        if not readings and any(flaw == TOO_OLD for flaw, _ in left_out):
            raise _too_old(pack, oldest_ms)
        if readings and not left_out:
            self._learn_form(sender, pack.records, right)
        return _batch(pack, now_ms, readings, times_ms, left_out)

    def _learn(self, topic: str, now_ms: int) -> _Sender:
        address, channel = self.address(topic)
        if channel is not Channel.READINGS:
            raise WireError(Reason.ADDRESS, "not a readings topic")
        if len(self._senders) >= self._most_agents:
            self._forget(self._senders.pop(next(iter(self._senders))))
        sender = self._senders[topic] = _Sender(address, now_ms, self.budgets)
        return sender

    def _begin_day(self, sender: _Sender, now_ms: int) -> None:
        """Forget all series: those of guests that are gone must not count for ever."""
        self._forget(sender)
        sender.since_ms = now_ms

    def _forget(self, sender: _Sender) -> None:
        self.series -= len(sender.known)
        sender.known.clear()
        sender.rations.clear()
        sender.over = None
        self._over_budget.pop(sender.address, None)
        self._forget_forms(sender)

    def _forget_forms(self, sender: _Sender) -> None:
        self._form_records -= sender.form_records
        sender.forms.clear()

    def _learn_form(
        self, sender: _Sender, records: Sequence[Record], known: Sequence[_Known]
    ) -> None:
        if len(sender.forms) >= MAX_FORMS_OF_AGENT:
            self._forget_forms(sender)
        if self._form_records + len(records) > MAX_FORM_RECORDS:
            for each in self._senders.values():
                each.forms.clear()
            self._form_records = 0
        names = [sys.intern(record.n) for record in records]
        if len(names) not in sender.forms:
            self._form_records += len(names)
        sender.forms[len(names)] = self._shared_form(names, known)

    def _shared_form(self, names: list[str], known: Sequence[_Known]) -> _Form:
        key = tuple(names)
        if (form := self._forms.get(key)) is None:
            if self._shared_records + len(names) > MAX_FORM_RECORDS:
                self._forms.clear()
                self._shared_records = 0
            self._shared_records += len(names)
            form = self._forms[key] = _Form(names, known)
        return form

    def _learn_series(self, sender: _Sender, record: Record) -> _Known | str:
        """Remember the series of a record that is wholly right; or why it is left out."""
        if (flaw := _flaw_of(record)) is not None:
            return flaw
        if len(sender.known) >= self._series_per_agent:
            return SERIES
        if self.series >= self.series_limit:
            return SERIES_IN_ALL
        resource, _, name = record.n.rpartition("/")
        # Names repeat from agent to agent: interned, ten thousand agents share them.
        resource = sys.intern(resource)
        if (family := self._over(sender, resource, name)) is not None:
            return OVER_BUDGET[family]
        entry = sender.known[sys.intern(record.n)] = self._shared_name(record.n, resource, name)
        self.series += 1
        return entry

    def _shared_name(self, name: str, resource: str, quantity: str) -> _Known:
        if (entry := self._names.get(name)) is None:
            if len(self._names) >= MAX_FORM_RECORDS:
                self._names.clear()
            of = CATALOGUE[quantity]
            entry = _Known(resource, of.name, of.unit, of.low, of.high)
            self._names[sys.intern(name)] = entry
        return entry

    def _over(self, sender: _Sender, resource: str, quantity: str) -> Family | None:
        """Whose budget does not take one more series; None where there is room."""
        owner = owner_of(resource)
        if owner is None or sender.rations.admit(owner, quantity):
            return None
        if sender.over is None:
            sender.over = Counter()
            self._over_budget[sender.address] = None
        sender.over[owner] += 1
        return family_of(owner)


def _batch(
    pack: Pack,
    now_ms: int,
    readings: Sequence[Reading],
    times_ms: set[int],
    left_out: list[tuple[str, Record]],
) -> Batch:
    return Batch(
        pack.address,
        pack.boot,
        pack.seq,
        min(pack.oldest_ms, pack.time_ms, now_ms),
        pack.time_ms,
        readings,
        times_ms,
        left_out,
    )


def _too_old(pack: Pack, oldest_ms: int) -> PackError:
    detail = f"{oldest_ms - pack.time_ms} ms older than what is kept"
    return PackError(Reason.TOO_OLD, detail, (pack.address, pack.boot, pack.seq))


def _flaw_of(record: Record) -> Flaw | None:
    resource, _, name = record.n.rpartition("/")
    value = float("nan") if record.v is None else record.v
    return flaw_of(resource, name, record.u, value)
