"""One SNMP device at work: opened, surveyed now and then, read at each tick."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from jauge_agent.logs import say
from jauge_agent.secret_files import SecretError, read_secret
from jauge_agent.source import FatalError, Outcome, ResourceDescription, RetryError
from jauge_agent.sources.snmp.judgement import Verdict, asked, judged
from jauge_agent.sources.snmp.members import Members
from jauge_agent.sources.snmp.profile import Profile, profiles
from jauge_agent.sources.snmp.session import Objects, Session
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings
from jauge_agent.sources.snmp.survey import Identified, Offer, recognised, surveyed

SURVEY_S: Final = 1800.0
"""Seconds after which a device is surveyed anew: outlets, probes and units may have changed."""
RESURVEY_S: Final = 60.0
"""The same when a value has another scale, unit or kind than the last survey found."""

_DOUBTS: Final = 256
"""Things of one device whose doubtful values are said."""
_NAMED: Final = 4
"""Missing members of a sum that are named."""

_log = logging.getLogger(__name__)


class SnmpDevice:
    """Meets `Source` for one device; a poller gives it its ticks and its deadline."""

    def __init__(
        self,
        objects: Objects,
        known: Iterable[Profile],
        *,
        name: str,
        labels: Mapping[str, str],
        members: Members | None = None,
    ) -> None:
        """``name`` stands for the serial number of a device that tells none."""
        self._members = members or Members()
        self._objects = objects
        self._profiles = list(known)
        self._name = name
        self._labels = dict(labels)
        self._identified: Identified | None = None
        self._offer = Offer((), (), ())
        self.floor_s = 0.0
        """Shortest period that the family bears; known once it is open."""
        self._surveyed_at = float("-inf")
        self._doubts_said: set[tuple[str, str]] = set()

    def ask_through(self, objects: Objects) -> None:
        """Another session to the same address; a unit that is missing now is still missed."""
        self._objects = objects

    async def open(self) -> Sequence[ResourceDescription]:
        """Recognise the device and find what it offers. Raises RetryError, FatalError."""
        self._offer = await self._surveyed()
        return self._offer.resources

    async def read(self) -> Outcome:
        """The values of one tick; now and then a new survey after them.

        Nothing is said of a device that does not tell the serial number it was surveyed with:
        another number is surveyed at once, none at all may be a device that starts. Both are
        counted as ``identity``. Raises RetryError.
        """
        identified, offer = self._identified, self._offer
        if identified is None:
            raise RetryError("not open")
        wanted = [*identified.profile.serial, *asked(offer.measured)]
        objects = await self._objects.get(list(dict.fromkeys(wanted)))
        age_s = asyncio.get_running_loop().time() - self._surveyed_at
        serial = identified.serial_in(objects)
        if serial != identified.serial:
            failed = {"identity": len(offer.measured)}
            if not serial and age_s < SURVEY_S:
                return Outcome((), failed)
            return Outcome((), failed, await self._replaced(identified.serial))
        verdict = judged(offer.measured, offer.totals, objects)
        if offer.cut:
            verdict.failed["cut"] += len(offer.cut)
        self._said(verdict, offer)
        changed = None
        if age_s >= SURVEY_S or (verdict.failed["changed"] and age_s >= RESURVEY_S):
            changed = await self._changed()
        return Outcome(verdict.samples, +verdict.failed, changed)

    async def close(self) -> None:
        """Nothing stays open on the device: SNMP knows no sessions."""

    async def _changed(self) -> Sequence[ResourceDescription] | None:
        """What the device offers now, when it is something else; its values are kept if not."""
        before = self._offer
        try:
            self._offer = await self._surveyed()
        except (RetryError, FatalError) as error:
            _log.debug("%s not surveyed: %s", self._name, error)
            return None
        return None if self._offer.resources == before.resources else self._offer.resources

    async def _replaced(self, serial: str) -> Sequence[ResourceDescription]:
        """What the device offers that now stands at the address."""
        try:
            self._offer = await self._surveyed()
        except FatalError as error:
            raise RetryError(f"another device at the address: {error}") from None
        now = self._identified.serial if self._identified else ""
        say(
            _log,
            logging.WARNING,
            "another serial number at the address",
            device=self._name,
            before=serial or "none",
            now=now or "none",
        )
        return self._offer.resources

    async def _surveyed(self) -> Offer:
        identified, before = await recognised(self._objects, self._profiles), self._identified
        is_same = before is not None and (
            (before.profile.family, before.serial) == (identified.profile.family, identified.serial)
        )
        offer = await surveyed(
            self._objects,
            identified,
            name=self._name,
            labels=self._labels,
            before=self._offer if is_same else None,
            members=self._members,
        )
        if not offer.measured:
            raise FatalError(f"{identified.profile.title} offers no value that its profile names")
        self._identified = identified
        self.floor_s = identified.profile.floor_s
        self._surveyed_at = asyncio.get_running_loop().time()
        return offer

    def _said(self, verdict: Verdict, offer: Offer) -> None:
        for doubt in verdict.doubts:
            self._say("value suspicious", doubt)
        for total in (*verdict.incomplete, *offer.lacking):
            read = set(offer.measured)
            if gone := sorted({each.resource for each in total.parts if each not in read}):
                names = ", ".join(gone[:_NAMED])
                self._say("sum incomplete", f"{total.resource}: {total.quantity} without {names}")
        for table in sorted(offer.cut):
            self._say("table cut off", f"{table}: longer than what is taken of it")

    def _say(self, event: str, detail: str) -> None:
        thing = (event, detail.partition(": ")[0])
        if thing not in self._doubts_said and len(self._doubts_said) < _DOUBTS:
            self._doubts_said.add(thing)
            say(_log, logging.WARNING, event, device=self._name, detail=detail)


class ListedDevice:
    """Meets `Source` for a device of the configuration: its secrets, its session, its profile."""

    def __init__(
        self,
        settings: SnmpDeviceSettings,
        *,
        timeout_s: float,
        batch: int,
        members: Members | None = None,
    ) -> None:
        """``timeout_s``: wait for one answer; ``batch``: objects per request."""
        self._settings = settings
        self._members = members
        self._timeout_s = timeout_s
        self._batch = batch
        self._session: Session | None = None
        self._device: SnmpDevice | None = None
        self.floor_s = 0.0
        """Shortest period that the device bears; known once it is open."""

    async def open(self) -> Sequence[ResourceDescription]:
        """See `Source`. Raises FatalError for a secret that cannot be used."""
        settings = self._settings
        known = profiles()
        if settings.profile is not None:
            known = [profile for profile in known if profile.family == settings.profile]
        session = Session(
            settings, secrets_of(settings), timeout_s=self._timeout_s, batch=self._batch
        )
        self._session = session
        if self._device is None:
            self._device = SnmpDevice(
                session,
                known,
                name=settings.label,
                labels=settings.labels,
                members=self._members,
            )
        else:
            self._device.ask_through(session)
        resources = await self._device.open()
        self.floor_s = self._device.floor_s
        return resources

    async def read(self) -> Outcome:
        """See `Source`."""
        if self._device is None:
            raise RetryError("not open")
        return await self._device.read()

    async def close(self) -> None:
        """Give the socket back."""
        if self._session is not None:
            self._session.close()


def secrets_of(settings: SnmpDeviceSettings) -> dict[str, str]:
    """What the files named in the settings hold. Raises FatalError for one that cannot be read."""
    found = {}
    for key in ("community", "auth", "privacy"):
        name: str | None = getattr(settings, f"{key}_file")
        if name is None:
            continue
        try:
            found[key] = read_secret(name)
        except SecretError as error:
            raise FatalError(f"{key}_file: {error}") from None
    return found
