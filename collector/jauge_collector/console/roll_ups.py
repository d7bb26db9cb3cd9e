"""A month's energy of guests rolled up by cluster, tenant and service, as it is shown.

Clusters and services are those of the last description in force before the end of the month.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import fsum

from jauge_models.attribution import Certainty

from jauge_collector.console.hosting_views import Group, Grouping, RollUp, Span
from jauge_collector.guest_amounts import Amount
from jauge_collector.ledger.histories import Histories, labels_at
from jauge_collector.ledger.shares import OWN


def rolled_up(
    found: Sequence[Amount],
    by: Grouping,
    span: Span,
    *,
    clusters: Mapping[str, str],
    histories: Histories,
    whole: bool,
) -> RollUp:
    """Amounts by one grouping. ``clusters`` are those of hosts; ``whole``: with hosts' own parts.

    A cluster holds what its hosts keep as their own; of the others it stands beside them.
    """
    energies: dict[str, list[float]] = defaultdict(list)
    estimated: dict[str, list[float]] = defaultdict(list)
    guests: dict[str, set[str]] = defaultdict(set)
    own: list[float] = []
    for one in found:
        labels = labels_at(histories, one.guest, span[1])
        if by is Grouping.CLUSTER:
            name = clusters.get(one.host, "") or labels.get("cluster", "")
        elif one.guest == OWN:
            own.append(one.energy)
            continue
        else:
            name = one.tenant if by is Grouping.TENANT else labels.get("service", "")
        energies[name].append(one.energy)
        if one.certainty is Certainty.ESTIMATED:
            estimated[name].append(one.energy)
        if one.guest != OWN:
            guests[name].add(one.guest.partition("/")[2])
    groups = [
        Group(
            name=name,
            guests=len(guests[name]),
            energy=fsum(some),
            estimated=fsum(estimated[name]),
        )
        for name, some in energies.items()
    ]
    return RollUp(
        by=by,
        start_ms=span[0],
        end_ms=span[1],
        groups=sorted(groups, key=lambda group: (-group.energy, group.name)),
        own=fsum(own) if whole and by is not Grouping.CLUSTER else None,
        energy=fsum([*(group.energy for group in groups), *own]),
    )
