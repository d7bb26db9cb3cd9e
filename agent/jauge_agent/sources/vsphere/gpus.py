"""Which guest holds which GPU of its host, and how much of it.

Two ways: a card that the host's own driver runs and parts among guests (HostGraphicsInfo tells the
guests of each card, the guest's device the profile), and a card handed through as a whole (the
guest's device tells its place on the host's bus).

The share of a part is its memory over that of the card. A profile's name ends with its memory in
GiB: ``grid_a100-10c``, ``nvidia_a40-8q`` (NVIDIA vGPU User Guide, "Virtual GPU Types").
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jauge_models.resources import identity

from jauge_agent.sources.vsphere.sdk import vim
from jauge_agent.sources.vsphere.session import Session

_PROFILE: Final = re.compile(r"-(\d+)[abcq](?:me)?$", re.IGNORECASE)
_KIBIBYTES_PER_GIBIBYTE: Final = 1024 * 1024
_GPU_CLASSES: Final = frozenset({0x03, 0x12})
"""Display controllers and processing accelerators (PCI Code and ID Assignment, base classes)."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that the host's driver runs."""

    resource: str
    name: str
    kibibytes: int
    guests: tuple[str, ...]
    """Keys of the guests on it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A GPU, or a part of one, and the guest that holds it."""

    resource: str
    name: str
    host: str
    """Resource of the host."""
    guest: str
    """Key of the guest."""
    share: float | None = None
    """Part of the card, 0 to 1; None for a whole one, and where it is not told."""


def gpu_resource(host: str, place: str) -> str:
    """The resource of a GPU by its host's and its number or its place on the bus."""
    return f"gpu:{host.partition(':')[2]}-{identity(place)}"


def cards_of(host: str, graphics: Iterable[Any]) -> tuple[Card, ...]:
    """The cards of a host's graphicsInfo."""
    return tuple(
        Card(
            gpu_resource(host, each.pciId),
            str(each.deviceName),
            int(each.memorySizeInKB),
            tuple(sorted(guest._moId for guest in each.vm)),  # noqa: SLF001 - see inventory.key_of
        )
        for each in graphics
        if each.pciId
    )


def held_cards(
    session: Session,
    guests: Sequence[Any],
    hosts: Mapping[str, str],
    names: Mapping[str, str],
    cards: Mapping[str, Sequence[Card]],
) -> list[Held]:
    """What these guests hold.

    ``hosts`` and ``names`` are the resources of hosts and guests by their keys, ``cards`` those of
    each host by its resource.
    """
    if not guests:
        return []
    held: list[Held] = []
    whole: dict[str, tuple[Any, list[tuple[str, Any]]]] = {}
    wanted = {vim.VirtualMachine: ("runtime.host", "config.hardware.device")}
    for ref, values in session.objects(wanted, guests):
        key, where = ref._moId, values.get("runtime.host")  # noqa: SLF001 - see above
        if where is None or where._moId not in hosts or key not in names:  # noqa: SLF001 - see above
            continue
        host = hosts[where._moId]  # noqa: SLF001 - see above
        for device in values.get("config.hardware.device") or ():
            backing = getattr(device, "backing", None)
            if isinstance(backing, vim.vm.device.VirtualPCIPassthrough.VmiopBackingInfo):
                held += _parts(host, key, names[key], str(backing.vgpu), cards.get(host, ()))
            elif isinstance(backing, vim.vm.device.VirtualPCIPassthrough.DeviceBackingInfo):
                whole.setdefault(host, (where, []))[1].append((key, backing))
    if whole:
        held += _handed_through(session, whole)
    return held


def _parts(host: str, key: str, guest: str, profile: str, cards: Sequence[Card]) -> Iterable[Held]:
    """A guest's part of the card that it is on."""
    said = _PROFILE.search(profile)
    for card in cards:
        if key not in card.guests:
            continue
        share = None
        if said is not None and card.kibibytes > 0:
            share = min(1.0, int(said[1]) * _KIBIBYTES_PER_GIBIBYTE / card.kibibytes)
        whose = guest.partition(":")[2][:8]
        resource = f"gpu_instance:{card.resource.partition(':')[2]}.{whose}"
        yield Held(resource, f"{card.name} {profile}", host, key, share)


def _handed_through(
    session: Session, whole: Mapping[str, tuple[Any, Sequence[tuple[str, Any]]]]
) -> Iterable[Held]:
    """Devices handed through that are GPUs; others, such as network cards, are left alone."""
    hosts = {ref._moId: host for host, (ref, _) in whole.items()}  # noqa: SLF001 - see above
    refs = [ref for ref, _ in whole.values()]
    for ref, values in session.objects({vim.HostSystem: ("hardware.pciDevice",)}, refs):
        host = hosts[ref._moId]  # noqa: SLF001 - see above
        known = {each.id: each for each in values.get("hardware.pciDevice") or ()}
        for key, backing in whole[host][1]:
            device = known.get(backing.id)
            if device is not None and (device.classId & 0xFFFF) >> 8 in _GPU_CLASSES:
                yield Held(gpu_resource(host, backing.id), str(device.deviceName), host, key)
