"""What a power model says of servers that its fit has not seen, and the errors that follow."""

import functools
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from jauge_models.power_coefficients import LOADS, Coefficients, Errors, Knots
from jauge_models.power_models import GB, ServerModel, model_of
from jauge_models.processor_families import family_of

from benchmarks.power_fit import Instance, Server, fitted, fitted_instances

PARTS: Final = 10
_TIMES: Final = 5
"""Every split is drawn anew so often, and the errors are those of all."""

Group = Callable[[Server], Hashable]
Model = Callable[[Server, Coefficients], ServerModel]


class Miss(NamedTuple):
    """A server, what was said of it without having seen it, and by which coefficients."""

    server: Server
    model: ServerModel
    without: Coefficients

    @property
    def off(self) -> Knots:
        """W too much at each load."""
        return tuple(a - b for a, b in zip(self.model.watts, self.server.watts, strict=True))

    @property
    def line_off(self) -> Knots:
        """The same of the straight line from idle to full."""
        s = self.server
        return tuple(
            s.idle + (s.full - s.idle) * load - watt
            for load, watt in zip(LOADS, s.watts, strict=True)
        )


def anyone(server: Server) -> Hashable:
    """Every server by itself, so that its like may stand on both sides."""
    return server


def processor(server: Server) -> Hashable:
    """Servers with one model of processor, told by its number."""
    digits = [
        word for word in server.cpu.replace("-", " ").split() if sum(map(str.isdigit, word)) > 2
    ]
    return digits[0].rstrip("),") if digits else server.cpu


def family(server: Server) -> Hashable:
    """Servers with one family of processors."""
    return family_of(server.cpu)


def declared(server: Server, by: Coefficients) -> ServerModel:
    """Idle and full watts are known, and the processor."""
    return model_of(cpu=server.cpu, idle=server.idle, full=server.full, coefficients=by)


def declared_alone(server: Server, by: Coefficients) -> ServerModel:
    """Idle and full watts are known and nothing else."""
    return model_of(idle=server.idle, full=server.full, coefficients=by)


def undeclared(knowing: str) -> Model:
    """Neither idle nor full is known: of f(amily), p(rocessors), m(emory) those named."""

    def model(server: Server, by: Coefficients) -> ServerModel:
        return model_of(
            cpu=server.cpu if "f" in knowing else "",
            processors=server.processors if "p" in knowing else None,
            memory=server.memory_gb * GB if "m" in knowing else None,
            coefficients=by,
        )

    return model


def unseen(
    known: Sequence[Server], group: Group, models: Sequence[Model], parts: int = PARTS
) -> list[list[Miss]]:
    """What each model says of servers of which no group was fitted; the draws are always alike."""
    found: list[list[Miss]] = [[] for _ in models]
    for fit, test in _splits(tuple(known), group, parts):
        for misses, model in zip(found, models, strict=True):
            misses += [Miss(server, model(server, fit), fit) for server in test]
    return found


@functools.cache
def _splits(
    known: tuple[Server, ...], group: Group, parts: int
) -> list[tuple[Coefficients, list[Server]]]:
    groups: dict[Hashable, list[Server]] = defaultdict(list)
    for server in known:
        groups[group(server)].append(server)
    found = []
    for seed in range(_TIMES):
        order = list(groups.values())
        random.Random(seed).shuffle(order)  # noqa: S311  # a draw, no secret
        held: list[list[Server]] = [[] for _ in range(parts)]
        for alike in order:
            min(held, key=len).extend(alike)
        for test in held:
            out = set(test)
            found.append((fitted([s for s in known if s not in out]), test))
    return found


def with_errors(known: Sequence[Server], cloud: Sequence[Instance]) -> Coefficients:
    """Coefficients of all servers, with the standard errors of those that a fit has not seen."""
    alone, *sizes = unseen(
        known, family, [declared_alone, *(undeclared(k) for k in ("", "p", "m", "pm"))]
    )
    (vendor,) = unseen(known, family, [declared])
    close, *family_sizes = unseen(
        known, processor, [declared, *(undeclared(k) for k in ("f", "fp", "fm", "fpm"))]
    )
    close, *family_sizes = (
        [m for m in misses if family_of(m.server.cpu) in m.without.families]
        for misses in (close, *family_sizes)
    )
    found = fitted(known)
    rule = fitted_instances(cloud)
    found = replace(found, instances=rule)
    methods = _relative(list(_against_servers(cloud, found)))
    cpus = _relative(list(_without_its_processor(cloud, found)))
    return replace(
        found,
        shape_errors={
            "family": _spread(close),
            "vendor": _spread(vendor),
            "": _spread(alone),
        },
        size_errors={
            name: Errors(
                _relative([(m.model.idle, m.server.idle) for m in misses]),
                _relative([(m.model.full, m.server.full) for m in misses]),
            )
            for name, misses in zip(
                ("", "p", "m", "pm", "f", "fp", "fm", "fpm"), sizes + family_sizes, strict=True
            )
        },
        instances=rule._replace(errors=(methods, math.hypot(methods, cpus))),
    )


def _spread(misses: Sequence[Miss]) -> Knots:
    """Root mean square at each load, in parts of full − idle."""
    return tuple(
        math.sqrt(
            statistics.fmean((m.off[k] / (m.server.full - m.server.idle)) ** 2 for m in misses)
        )
        for k in range(len(LOADS))
    )


def _relative(pairs: Sequence[tuple[float, float]]) -> float:
    return math.sqrt(statistics.fmean(math.log(a / b) ** 2 for a, b in pairs))


def _against_servers(cloud: Sequence[Instance], by: Coefficients) -> Iterator[tuple[float, float]]:
    """Watts of whole platforms by the rule for instances, and by the model of servers."""
    for cpu, processors, memory_gb in sorted(
        {(i.cpu, i.platform_processors, i.platform_memory_gb) for i in cloud}
    ):
        if family_of(cpu) in by.families:
            part, whole = (
                model_of(
                    cpu=cpu,
                    processors=processors,
                    memory=memory_gb * GB,
                    virtual=virtual,
                    coefficients=by,
                )
                for virtual in (True, False)
            )
            yield from zip(part.watts, whole.watts, strict=True)


def _without_its_processor(
    cloud: Sequence[Instance], found: Coefficients
) -> Iterator[tuple[float, float]]:
    """Watts of instances by a rule that lacks all of their processor, and as Teads has them."""
    for cpu in sorted({i.cpu for i in cloud}):
        rule = fitted_instances([i for i in cloud if i.cpu != cpu])
        by = replace(found, instances=rule)
        yield from rule_and_table([i for i in cloud if i.cpu == cpu], by, knowing=False)


def rule_and_table(
    cloud: Sequence[Instance], by: Coefficients, *, knowing: bool
) -> Iterator[tuple[float, float]]:
    """Watts of instances by the rule, ``knowing`` the processor or not, and as Teads has them."""
    for i in cloud:
        model = model_of(
            cpu=i.cpu if knowing else "",
            processors=i.processors,
            memory=i.memory_gb * GB,
            virtual=True,
            coefficients=by,
        )
        yield from zip(model.watts, i.total, strict=True)
