"""How full a real GPU cluster gets by each policy, with more work arriving than it can take.

The published experiment (Weng et al., "Beware of Fragmentation", USENIX ATC 2023; its simulator
and results are public): the workloads of a trace arrive in random order, then more of them, drawn
from it at random, until what has arrived asks for 130 % of the cluster's GPUs. Each goes to a node
with GPUs or is refused; nothing ends and nothing moves. What counts is the allocated part of all
GPUs. Nodes without a GPU are left out, as there, so that work without a GPU takes processors too.
"""

import csv
import os
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from jauge_models.capacity.inventory import WHOLE, Node, NodeKind, Plant
from jauge_models.capacity.placement import Packer, Policy, Refused, Workload

from benchmarks.gpu_logs import folder
from benchmarks.rows import Better, Row, Table, say

ARRIVING: Final = 1.3
SEEDS: Final = range(42, 52)
FEW_SEEDS: Final = 3
CPU_LIMIT_S: Final = 10.0
PUBLISHED: Final = {
    "Random": 87.47,
    "DotProd": 90.85,
    "GpuClustering": 91.88,
    "GpuPacking": 92.00,
    "BestFit": 93.08,
    "FGD": 95.39,
}
"""Per cent of the GPUs allocated, mean of ten seeds, as published."""
PEER: Final = {
    Policy.ROOM: "FGD",
    Policy.GRADIENT: "FGD",
    Policy.BEST_FIT: "BestFit",
    Policy.RANDOM: "Random",
}


class Run(NamedTuple):
    """What one run of a policy reached. Parts of all GPUs, in per cent; seconds of CPU.

    ``first_refused``: what had arrived when the first workload with a GPU was refused. ``large``:
    part of the workloads of 8 GPUs that were placed. ``ceiling``: see ``_ceiling``.
    """

    allocated: float
    first_refused: float
    large: float
    cpu_s: float
    ceiling: float


def plant(data: Path) -> Plant:
    """The nodes with GPUs, each distinct size a kind."""
    kinds: dict[tuple[str, ...], NodeKind] = {}
    nodes: list[Node] = []
    with (data / "openb_node_list_all_node.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["gpu"] == "0":
                continue
            size = (row["model"], row["gpu"], row["cpu_milli"], row["memory_mib"])
            if size not in kinds:
                kinds[size] = NodeKind(
                    name="/".join(size),
                    gpu=row["model"],
                    gpus=int(row["gpu"]),
                    cpu_milli=int(row["cpu_milli"]),
                    memory_mib=int(row["memory_mib"]),
                )
            nodes.append(Node(name=row["sn"], kind=kinds[size].name))
    return Plant(kinds=tuple(kinds.values()), nodes=tuple(nodes))


def trace(data: Path) -> list[Workload]:
    """The workloads of the trace."""
    with (data / "openb_pod_list_default.csv").open(encoding="utf-8", newline="") as lines:
        return [
            Workload(
                id=row["name"],
                gpus=int(row["num_gpu"]),
                gpu_milli=int(row["gpu_milli"]) if row["num_gpu"] != "0" else WHOLE,
                cpu_milli=int(row["cpu_milli"]),
                memory_mib=int(row["memory_mib"]),
            )
            for row in csv.DictReader(lines)
        ]


def arrivals(known: Sequence[Workload], milli: float, seed: int) -> list[Workload]:
    """The trace in random order, and more drawn from it until so many thousandths are asked for."""
    numbers = random.Random(seed)  # noqa: S311 - an experiment, not a secret
    found = list(known)
    numbers.shuffle(found)
    asked = sum(one.milli for one in found)
    while True:
        one = numbers.choice(known)
        asked += one.milli
        if asked > milli:
            return found
        found.append(msgspec.structs.replace(one, id=f"{one.id}-again-{len(found)}"))


def run(room: Plant, known: Sequence[Workload], policy: Policy, seed: int) -> Run:
    """Place what arrives, one after another."""
    whole = WHOLE * _gpus(room)
    arriving = arrivals(known, ARRIVING * whole, seed)
    begun = time.process_time()
    packer = Packer(room, typical=known, policy=policy, seed=seed)
    arrived, first_refused, placed = 0, 0, list[Workload]()
    for workload in arriving:
        arrived += workload.milli
        if not isinstance(packer.place(workload), Refused):
            placed.append(workload)
        elif workload.gpus and not first_refused:
            first_refused = arrived
    cpu_s = time.process_time() - begun
    large = [one for one in arriving if one.gpus == 8]
    return Run(
        100 * packer.allocated.gpu_milli / whole,
        100 * first_refused / whole,
        100 * sum(one.gpus == 8 for one in placed) / len(large),
        cpu_s,
        100 * _ceiling(placed, arriving, whole) / whole,
    )


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """Every policy on the same arrivals; ten seeds with ``--full``, else three."""
    data = folder() / "k8s_sched_sim"
    room, known = plant(data), trace(data)
    seeds = SEEDS if full else SEEDS[:FEW_SEEDS]
    rows: list[Row] = []
    notes = [
        f"{len(room.nodes)} nodes, {_gpus(room)} GPUs, {len(known)} workloads in the trace",
        f"{ARRIVING:.0%} arriving; seeds {seeds[0]} to {seeds[-1]}",
        f"load average {os.getloadavg()[0]:.1f}",
        "published: " + ", ".join(f"{name} {value:.2f}" for name, value in PUBLISHED.items()),
    ]
    for policy in Policy:
        runs = [run(room, known, policy, seed) for seed in seeds]
        reached = [one.allocated for one in runs]
        peer = PEER[policy]
        say(f"placement: {policy} {statistics.fmean(reached):.2f} %")
        rows.append(
            Row(
                f"{policy}: GPUs allocated, mean",
                statistics.fmean(reached),
                "%",
                f"{peer}, published",
                PUBLISHED[peer],
                Better.HIGHER,
                note=f"{min(reached):.2f} to {max(reached):.2f}",
            )
        )
        if policy is Policy.ROOM:
            rows += _of_room(runs)
        notes.append(
            f"{policy}: mean {statistics.fmean(reached):.2f} %, standard deviation "
            f"{statistics.pstdev(reached):.2f}; first refusal at "
            f"{statistics.fmean(one.first_refused for one in runs):.1f} % arrived; "
            f"{statistics.fmean(one.large for one in runs):.0f} % of the 8-GPU workloads placed; "
            f"{max(one.cpu_s for one in runs):.1f} s of CPU at most"
        )
    return Table("placement", "Placement: a real GPU cluster, 130 % arriving", rows, notes)


def _of_room(runs: Sequence[Run]) -> list[Row]:
    return [
        Row(
            "room: GPUs allocated, mean",
            statistics.fmean(one.allocated for one in runs),
            "%",
            "the most that these shares allow",
            statistics.fmean(one.ceiling for one in runs),
            Better.HIGHER,
        ),
        Row(
            "room: CPU of a run",
            max(one.cpu_s for one in runs),
            "s",
            "limit",
            CPU_LIMIT_S,
            Better.LOWER,
            is_limit=True,
        ),
    ]


def _ceiling(placed: Sequence[Workload], arriving: Sequence[Workload], whole: int) -> int:
    """The most thousandths that could be allocated, given the large shares that were placed.

    A share above a half leaves a gap on its GPU that only shares no larger than it can fill. What
    the gaps up to a size hold beyond all shares up to that size, placed or not, stays empty.
    """
    gaps = [WHOLE - one.gpu_milli for one in placed if one.gpus and one.gpu_milli > WHOLE // 2]
    shares = [one.milli for one in arriving if one.gpus == 1]
    empty = [
        sum(gap for gap in gaps if gap <= size) - sum(milli for milli in shares if milli <= size)
        for size in sorted(set(gaps))
    ]
    return whole - max([0, *empty])


def _gpus(room: Plant) -> int:
    kinds = {kind.name: kind for kind in room.kinds}
    return sum(kinds[node.kind].gpus for node in room.nodes)
