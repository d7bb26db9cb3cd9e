"""The source ``proxmox``: the nodes and guests of clusters of Proxmox VE."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from jauge_models.quantities import CATALOGUE, Kind

from jauge_agent.logs import say
from jauge_agent.polling import Device, Poller
from jauge_agent.secret_files import SecretError, read_secret
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Method,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
)
from jauge_agent.sources.proxmox.answers import (
    COUNTERS,
    Guest,
    Node,
    Resources,
    cluster_name,
    identity_of,
    processor,
    resources,
    runs_on,
    told_identity,
)
from jauge_agent.sources.proxmox.settings import FLOOR_S, ProxmoxCluster, ProxmoxSettings
from jauge_agent.trust import Trust

if TYPE_CHECKING:
    import ssl

    import aiohttp

    from jauge_agent.sources.proxmox.session import Api

DEADLINE_S: Final = 120.0
"""Seconds for one round of requests; the tick does not wait for it."""
IDENTIFY_S: Final = 10.0
"""Seconds of one round that may go into asking new guests who they are; the rest wait."""
REVIEW_S: Final = 6 * 3600.0
"""After so long everything that hardly ever changes is asked for again."""
AGAIN_S: Final = 300.0
"""Pause after something was refused that other values do not depend on."""
STALE_S: Final = 60.0
"""A node whose uptime has stood still for so long no longer brings its figures up to date."""

_log = logging.getLogger(__name__)


class ProxmoxSource:
    """Utilisation, memory, disks and networks of nodes, virtual machines and containers."""

    Settings = ProxmoxSettings

    def __init__(self, settings: ProxmoxSettings) -> None:
        self._settings = settings
        self._poller = Poller(
            "proxmox",
            [
                Device(
                    device.label,
                    ClusterSource(device, settings),
                    period_s=device.period_s,
                    deadline_s=DEADLINE_S,
                    floor_s=FLOOR_S,
                )
                for device in settings.devices
            ],
            settings,
        )

    async def open(self) -> Sequence[ResourceDescription]:
        """Open the clusters. Raises AbsentError when none is listed or aiohttp is missing."""
        if self._settings.devices and find_spec("aiohttp") is None:
            raise AbsentError("aiohttp is not installed; install jauge-agent[proxmox]")
        return await self._poller.open()

    async def read(self) -> Outcome:
        """Read the clusters that are due."""
        return await self._poller.read()

    async def close(self) -> None:
        """End the connections."""
        await self._poller.close()


@dataclass(slots=True)
class _Known:
    """A guest that was seen running, by its number."""

    own_id: str | None = None
    """The UUID of its own, empty if it has none; None while that is not known."""
    not_before: float = float("-inf")
    """When it may be asked for, after a refusal."""
    uptime: float = 0.0
    counters: dict[str, float] = field(default_factory=dict)
    quantities: dict[str, None] = field(default_factory=dict)
    """What it has told so far, in order."""


@dataclass(slots=True)
class _Seen:
    """A node of the cluster."""

    uptime: float | None = None
    changed_at: float = float("-inf")
    cpu: str = ""
    asked_at: float = float("-inf")


class ClusterSource:
    """One cluster: one question at each reading for everything, and some now and then."""

    def __init__(self, device: ProxmoxCluster, settings: ProxmoxSettings) -> None:
        self._device = device
        self._settings = settings
        self._api: Api | None = None
        self._name = ""
        self._guests: dict[int, _Known] = {}
        self._nodes: dict[str, _Seen] = {}
        self._twins: set[str] = set()
        """UUIDs that several guests have or had: none of them goes by it any more."""
        self._described: list[ResourceDescription] = []

    async def open(self) -> Sequence[ResourceDescription]:
        """Ask for everything once. Raises AbsentError where the token shows no node."""
        from jauge_agent.sources.proxmox.session import Api  # noqa: PLC0415 - only where used

        if self._api is None:
            places = [self._device.authority, *self._device.authorities_of_others()]
            self._api = Api(places, self._token, self._trust())
        if not self._name:
            self._name = self._device.name or await self._told_name(self._api)
        told, _ = await self._read(self._api)
        if not told.nodes:
            raise AbsentError(
                f"{self._device.label} answers, but shows no node: give the token, and its user,"
                " the role PVEAuditor on /"
            )
        return self._described

    async def read(self) -> Outcome:
        """Everything that runs now."""
        assert self._api is not None  # noqa: S101 - opened before it is read
        before = self._described
        told, samples = await self._read(self._api)
        changed = self._described != before
        return Outcome(samples, told.failed, self._described if changed else None)

    async def close(self) -> None:
        """End the connection."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    async def _read(self, api: "Api") -> tuple[Resources, list[Sample]]:
        answer = await api.get("/cluster/resources")
        if answer.data is None:
            raise RetryError(
                f"{self._device.label}: /cluster/resources is refused (HTTP {answer.status})"
            )
        told = resources(answer.data)
        now = asyncio.get_running_loop().time()
        fresh = set(self._fresh(told.nodes, now, told.failed))
        self._note(told)
        await self._ask_nodes(api, told)
        await self._identify(api, told)
        self._find_twins()
        samples = [
            Sample(node.resource, quantity, value)
            for node in told.nodes
            if node.name in fresh
            for quantity, value in node.values.items()
        ]
        for guest in told.guests:
            if guest.node in fresh:
                samples += self._of_guest(guest, told.failed)
        self._described = list(self._descriptions(told))
        return told, samples

    def _fresh(self, nodes: Sequence[Node], now: float, failed: Counter[str]) -> Iterator[str]:
        """Nodes that are on line and still bring their figures up to date."""
        for gone in self._nodes.keys() - {node.name for node in nodes}:
            del self._nodes[gone]
        for node in nodes:
            seen = self._nodes.setdefault(node.name, _Seen())
            if node.uptime != seen.uptime:
                seen.uptime, seen.changed_at = node.uptime, now
            if not node.is_online:
                continue
            if now - seen.changed_at > STALE_S:
                failed["stale"] += 1
            else:
                yield node.name

    def _note(self, told: Resources) -> None:
        """Take note of what runs.

        Behind the number of a guest that has started another may stand: the one was removed, and a
        new one made. So it is asked again who it is.
        """
        running = {guest.vmid for guest in told.guests}
        for gone in self._guests.keys() - running:
            del self._guests[gone]
        for guest in told.guests:
            known = self._guests.setdefault(guest.vmid, _Known())
            if 0 < guest.uptime < known.uptime:
                known = self._guests[guest.vmid] = _Known()
            known.uptime = guest.uptime or known.uptime

    async def _ask_nodes(self, api: "Api", told: Resources) -> None:
        """The model of the processors of nodes that are new, or were asked long ago."""
        now = asyncio.get_running_loop().time()
        for node in told.nodes:
            seen = self._nodes[node.name]
            if not node.is_online or now < seen.asked_at + (REVIEW_S if seen.cpu else AGAIN_S):
                continue
            seen.asked_at = now
            try:
                answer = await api.get_aside(f"/nodes/{node.name}/status")
            except RetryError:
                told.failed["node"] += 1
            else:
                seen.cpu = processor(answer.data) or seen.cpu

    async def _identify(self, api: "Api", told: Resources) -> None:
        """Ask virtual machines that have started who they are."""
        clock = asyncio.get_running_loop().time
        end = clock() + IDENTIFY_S
        for guest in told.guests:
            known = self._guests[guest.vmid]
            if guest.is_container:
                known.own_id = ""  # containers have no UUID
            if known.own_id is not None or clock() < known.not_before:
                continue
            if clock() >= end:
                return
            try:
                answer = await api.get_aside(f"/nodes/{guest.node}/qemu/{guest.vmid}/config")
            except RetryError:
                told.failed["node"] += 1
                known.not_before = clock() + AGAIN_S
                continue
            if answer.data is not None:
                known.own_id = told_identity(answer.data)
            elif answer.status == 403:
                known.not_before = clock() + AGAIN_S
            # With any other status it is asked again soon: on its way to another node a machine
            # is nowhere for a moment.

    def _find_twins(self) -> None:
        """Guests of one UUID go by their numbers; said once for each."""
        count = Counter(known.own_id for known in self._guests.values() if known.own_id)
        found = {uuid for uuid, times in count.items() if times > 1} - self._twins
        self._twins |= found
        for uuid in sorted(found):
            vmids = [vmid for vmid, known in self._guests.items() if known.own_id == uuid]
            say(
                _log,
                logging.WARNING,
                "guests share a UUID",
                source="proxmox",
                device=self._device.label,
                uuid=uuid,
                guests=",".join(map(str, sorted(vmids))),
                detail="they go by their numbers; give each an smbios1 uuid of its own",
            )

    def _resource(self, guest: Guest) -> str:
        """``guest:<UUID>``, else by its number; empty while it is not known who it is."""
        own_id = self._guests[guest.vmid].own_id
        if own_id is None:
            return ""
        by_number = not own_id or own_id in self._twins
        return f"guest:{identity_of(self._name, guest) if by_number else own_id}"

    def _of_guest(self, guest: Guest, failed: Counter[str]) -> Iterator[Sample]:
        resource, known = self._resource(guest), self._guests[guest.vmid]
        if not resource:
            failed["unidentified"] += 1
            return
        for quantity, value in {**guest.values, "runs_on": runs_on(guest.node)}.items():
            if quantity in COUNTERS:
                if value == 0 and known.counters.get(quantity):
                    failed["none"] += 1  # see `answers`
                    continue
                known.counters[quantity] = value
            known.quantities[quantity] = None
            yield Sample(resource, quantity, value)

    def _descriptions(self, told: Resources) -> Iterator[ResourceDescription]:
        for node in sorted(told.nodes):
            labels = {"cluster": self._name}
            if cpu := self._nodes[node.name].cpu:
                labels["cpu"] = cpu
            if node.in_maintenance:
                labels["maintenance"] = "yes"
            names = ("cpu_utilisation", "processors", "memory_size", "memory_used", "uptime")
            yield ResourceDescription(node.resource, _methods(names), node.name, labels)
        for guest in sorted(told.guests):
            quantities = self._guests[guest.vmid].quantities
            if (resource := self._resource(guest)) and quantities:
                labels = {"cluster": self._name, "host": guest.node, **self._tagged(guest)}
                name = guest.name or str(guest.vmid)
                yield ResourceDescription(resource, _methods(quantities), name, labels)

    def _tagged(self, guest: Guest) -> Mapping[str, str]:
        """Labels out of a guest's tags, by the beginnings that the configuration gives."""
        found: dict[str, str] = {}
        for label in ("tenant", "service"):
            beginning: str = getattr(self._settings, label)
            for tag in guest.tags:
                if beginning and tag.startswith(beginning) and tag != beginning:
                    found.setdefault(label, tag.removeprefix(beginning))
        return found

    async def _told_name(self, api: "Api") -> str:
        """What the cluster calls itself: part of the names of guests, so it must be known."""
        answer = await api.get("/cluster/status")
        name = cluster_name(answer.data)
        if not name:
            raise RetryError(
                f"{self._device.label}: /cluster/status tells no name (HTTP {answer.status}):"
                " give the token the role PVEAuditor on /, or the cluster a name here"
            )
        return name

    def _token(self) -> str:
        """Read anew each time, so that a renewed token needs no restart."""
        from jauge_agent.sources.proxmox.session import token_of  # noqa: PLC0415 - see open

        try:
            return token_of(read_secret(self._device.token_file or self._settings.token_file or ""))
        except SecretError as error:
            raise FatalError(f"token_file: {error}") from None

    def _trust(self) -> "ssl.SSLContext | aiohttp.Fingerprint":
        """Whom to believe that they are the cluster; raises FatalError."""
        if self._device.fingerprint is not None:
            import aiohttp  # noqa: PLC0415 - an optional extra, and heavy

            return aiohttp.Fingerprint(bytes.fromhex(self._device.fingerprint.replace(":", "")))
        return Trust().context(self._device.ca_file or self._settings.ca_file)


def _methods(quantities: Sequence[str] | Mapping[str, None]) -> dict[str, Method]:
    return {
        name: Method.COUNTER if CATALOGUE[name].kind is Kind.COUNTER else Method.GAUGE
        for name in quantities
    }
