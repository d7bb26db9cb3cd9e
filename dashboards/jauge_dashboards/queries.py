"""PromQL out of the catalogues: what a query may name, and what none may compute.

The series are those of `jauge_models.quantities` and `jauge_models.metrics`, and the few of
`OUTSIDE`. A name that the catalogues lack raises UnknownSeriesError, so that a renamed quantity
is found before Grafana shows an empty panel. `problems` reads any expression, also one written
by hand: it tells of unknown names, of functions that only one of the two stores knows, and of
divisions that would be an indicator, which only the collector computes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from jauge_models.metrics import METRICS, MetricType, MetricUnit
from jauge_models.quantities import CATALOGUE, Kind, Quantity, Unit

READING_LABELS: Final = ("site", "agent", "kind", "resource")
SCRAPE_LABELS: Final = ("job", "instance")
"""What a scrape adds to a metric."""
OUTSIDE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ALERTS": "written by Prometheus and vmalert for every alert that is pending or fires",
        "up": "written by a scrape: 1 where it was answered",
    }
)
"""Series that none of our programs publishes."""


class UnknownSeriesError(LookupError):
    """A query names what no catalogue has; the text says what and where to look."""


def reading(quantity: str, **matchers: str) -> str:
    """Readings of a quantity as a selector, e.g. ``reading("power", site="$site", kind="ups")``.

    A matcher's value begins with ``~`` for a regular expression, ``!`` for *not equal* and
    ``!~`` for both. Raises UnknownSeriesError for a quantity or a label that is not known.
    """
    known = CATALOGUE.get(quantity)
    if known is None:
        raise UnknownSeriesError(
            f"quantity {quantity!r} is not in the catalogue (jauge_models.quantities)"
        )
    return _selector(known.series_name, READING_LABELS, matchers)


def metric(name: str, **matchers: str) -> str:
    """Samples of a metric without its ``jauge_``; matchers as of `reading`.

    Raises UnknownSeriesError for a name that no metric publishes, or a label that it lacks.
    """
    full = f"jauge_{name}"
    entry = _PUBLISHED.get(full)
    if entry is None:
        raise UnknownSeriesError(f"metric {full!r} is not in the catalogue (jauge_models.metrics)")
    labels = (*entry.labels, *entry.optional, *SCRAPE_LABELS)
    return _selector(full, None if entry.open_labels else labels, matchers)


def alerts(**matchers: str) -> str:
    """Alerts that fire, as their evaluator writes them down; any label of a rule may be asked."""
    return _selector("ALERTS", None, {"alertstate": "firing", **matchers})


def named(expression: str, *labels: str, key: str = "agent, resource") -> str:
    """Readings with changing labels (name, room, rack, …) of their resource beside them.

    Where two collectors describe one resource either is taken: they say the same.
    """
    info = metric("resource_info", site="$site")
    return joined(expression, info, key, *labels)


def joined(expression: str, info: str, key: str, *labels: str) -> str:
    """``expression`` with ``labels`` of an ``…_info`` metric, matched by ``site`` and ``key``."""
    carried = ", ".join(labels)
    return (
        f"{expression} * on (site, {key}) group_left ({carried}) topk by (site, {key}) (1, {info})"
    )


def none_is_zero(expression: str) -> str:
    """Zero where ``expression`` has nothing, but only while a collector is there to say so."""
    return f"{expression} or sum(0 * {metric('collector_agents')})"


def _selector(name: str, labels: Sequence[str] | None, matchers: Mapping[str, str]) -> str:
    shown = []
    for label, value in matchers.items():
        if labels is not None and label not in labels:
            raise UnknownSeriesError(f"{name} has no label {label!r}")
        operator = next(one for one in ("!~", "~", "!", "") if value.startswith(one))
        text = value.removeprefix(operator)
        shown.append(f'{label}{_OPERATORS[operator]}"{text}"')
    return f"{name}{{{','.join(shown)}}}" if shown else name


_OPERATORS: Final = {"": "=", "~": "=~", "!": "!=", "!~": "!~"}
_PUBLISHED: Final = {name: entry for entry in METRICS.values() for name in entry.series}
_BY_SERIES: Final[Mapping[str, Quantity]] = {q.series_name: q for q in CATALOGUE.values()}

KNOWN: Final = frozenset({*_PUBLISHED, *_BY_SERIES, *OUTSIDE})
"""Every name that a query may use."""

_AMOUNT_UNITS: Final = frozenset({Unit.WATT, Unit.JOULE, Unit.VOLT_AMPERE})
_LIMITS: Final = frozenset({"jauge_meter_limit_watts"})
AMOUNTS: Final = frozenset(
    {name for name, quantity in _BY_SERIES.items() if quantity.unit in _AMOUNT_UNITS}
    | {name for name, entry in _PUBLISHED.items() if entry.unit is MetricUnit.WATT} - _LIMITS
)
"""Power and energy: every indicator of ISO/IEC 30134 divides by one of them."""
COUNTERS: Final = frozenset(
    {name for name, quantity in _BY_SERIES.items() if quantity.kind is Kind.COUNTER}
    | {
        name
        for name, entry in _PUBLISHED.items()
        if entry.type in {MetricType.COUNTER, MetricType.HISTOGRAM}
    }
)
KPI_PREFIX: Final = "jauge_kpi_"

FUNCTIONS: Final = frozenset(
    [
        "abs",
        "absent",
        "atan",
        "avg_over_time",
        "ceil",
        "changes",
        "clamp_max",
        "clamp_min",
        "count_over_time",
        "delta",
        "deriv",
        "exp",
        "floor",
        "histogram_quantile",
        "increase",
        "label_join",
        "label_replace",
        "last_over_time",
        "ln",
        "max_over_time",
        "min_over_time",
        "predict_linear",
        "present_over_time",
        "rate",
        "resets",
        "round",
        "scalar",
        "sort",
        "sort_desc",
        "sqrt",
        "sum_over_time",
        "time",
        "timestamp",
        "vector",
    ]
)
"""Functions of PromQL in use; each is known to Prometheus and to VictoriaMetrics alike."""
AGGREGATIONS: Final = frozenset(
    {"avg", "bottomk", "count", "count_values", "group", "max", "min", "quantile", "sum", "topk"}
)
_WORDS: Final = frozenset(
    {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
    | {"and", "or", "unless"}
)
_LABEL_LISTS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_PLAIN: Final = re.compile(r"jauge_kpi_\w+(\{[^{}]*\})?")
_AVERAGES: Final = frozenset({"avg", "avg_over_time", "quantile", "sum", "sum_over_time"})
_ARITHMETIC: Final = frozenset("+-*/%")
_DISGUISES: Final = frozenset({"ln", "exp"})

_TOKEN: Final = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<variable>\$\{\w+(?::\w+)?\}|\$\w+)
    |(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+|ms|[smhdwy])?(?:\d+(?:ms|[smhdwy]))*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<operator>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){}\[\],:@])
    |(?P<space>\s+)""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of an expression."""

    kind: str
    text: str


def tokens(expression: str) -> list[Token]:
    """The expression in pieces. Raises ValueError where none can begin."""
    found: list[Token] = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{expression[position : position + 20]!r} is no PromQL")
        position = match.end()
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup, match.group()))
    return found


def names(expression: str) -> tuple[str, ...]:
    """Series that an expression reads, in its order. Raises ValueError as `tokens`."""
    return tuple(token.text for _, token in _series(tokens(expression)))


def problems(expression: str) -> list[str]:
    """What is wrong with an expression, in words; nothing when it may stand."""
    try:
        pieces = tokens(expression)
    except ValueError as error:
        return [str(error)]
    series = list(_series(pieces))
    wrong = [f"unknown series {token.text}" for _, token in series if token.text not in KNOWN]
    wrong += [
        f"function {pieces[at].text} is not one of both stores"
        for at, token in enumerate(pieces[1:])
        if token.text == "(" and _is_foreign_call(pieces[at])
    ]
    wrong += [
        f"counter {token.text} is read without rate or increase"
        for at, token in series
        if token.text in COUNTERS and not _ranged(pieces, at)
    ]
    return wrong + _indicator_problems(pieces, [token.text for _, token in series])


def _indicator_problems(pieces: Sequence[Token], series: Sequence[str]) -> list[str]:
    wrong = []
    signs = {token.text for token in pieces if token.kind == "operator"}
    called = {token.text for token in pieces if token.kind == "name"}
    for at, token in enumerate(pieces):
        if token.text == "/":
            divisor = {one.text for one in _operand(pieces, at + 1)}
            if by := sorted(divisor & AMOUNTS):
                wrong.append(f"divides by {', '.join(by)}: indicators come from jauge_kpi_… only")
    if "^" in signs:
        wrong.append("raises to a power, which can hide a division")
    if set(series) & AMOUNTS and called & _DISGUISES:
        wrong.append("takes the logarithm or exponent of power or energy: a division in disguise")
    indicators = {name for name in series if name.startswith(KPI_PREFIX)}
    mixed = indicators and indicators != set(series) and signs & _ARITHMETIC
    if mixed or (indicators and called & _AVERAGES):
        wrong.append("computes with an indicator: it is shown as the collector says it")
    return wrong


def _is_foreign_call(token: Token) -> bool:
    return token.kind == "name" and token.text not in FUNCTIONS | AGGREGATIONS | _WORDS


def _series(pieces: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Names that stand where a series does: not in braces, label lists or before a bracket."""
    depth = 0
    listed = False
    for at, token in enumerate(pieces):
        following = pieces[at + 1].text if at + 1 < len(pieces) else ""
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            depth -= 1
        elif token.text == "(" and at and pieces[at - 1].text in _LABEL_LISTS:
            listed = True
        elif token.text == ")":
            listed = False
        elif (
            token.kind == "name"
            and not depth
            and not listed
            and following != "("
            and token.text not in _WORDS
            and not (token.text in AGGREGATIONS and following in {"by", "without"})
        ):
            yield at, token


def _ranged(pieces: Sequence[Token], at: int) -> bool:
    """Whether the series at ``at`` is read over a range."""
    end = at + 1
    if end < len(pieces) and pieces[end].text == "{":
        end = _closing(pieces, end) + 1
    return end < len(pieces) and pieces[end].text == "["


def _operand(pieces: Sequence[Token], at: int) -> Sequence[Token]:
    """What stands right of a division that begins before ``at``: one operand, whole."""
    while at < len(pieces) and pieces[at].text in _LABEL_LISTS | {"bool", "-", "+"}:
        at += 1
        if at < len(pieces) and pieces[at].text == "(" and pieces[at - 1].text in _LABEL_LISTS:
            at = _closing(pieces, at) + 1
    end = at
    while end < len(pieces):
        if pieces[end].text in {"(", "{", "["}:
            end = _closing(pieces, end) + 1
        elif end == at or pieces[end].text in {"by", "without"}:
            end += 1
        else:
            break
    return pieces[at:end]


def _closing(pieces: Sequence[Token], at: int) -> int:
    """Where the bracket at ``at`` closes; the end where it does not."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    opening, closing = pieces[at].text, pairs[pieces[at].text]
    depth = 0
    for end in range(at, len(pieces)):
        depth += (pieces[end].text == opening) - (pieces[end].text == closing)
        if not depth:
            return end
    return len(pieces) - 1


def panel_problems(expression: str, multiple: frozenset[str], single: frozenset[str]) -> list[str]:
    """As `problems`, and what holds in a dashboard only.

    Rates run over ``$__rate_interval``, or the whole range shown. A variable with several values
    is a regular expression that Grafana has escaped: it needs ``=~``, one with a single value
    ``=``; anything else breaks on a name with a dot, or on the second value.
    """
    wrong = problems(expression)
    if KPI_PREFIX in expression and not _PLAIN.fullmatch(expression):
        wrong.append("computes with an indicator: it is shown as the collector says it")
    for function, window in re.findall(r"\b(\w+)\([^()]*?\[([^\]]+)\]", expression):
        allowed = {"$__rate_interval", "$__range"} if function == "increase" else None
        allowed = {"$__rate_interval"} if function == "rate" else allowed
        if allowed is not None and window not in allowed:
            wrong.append(f"{function} runs over {window}, not $__rate_interval")
    for operator, variable in re.findall(r'(=~|!~|!=|=)"\$(\w+)"', expression):
        if variable in multiple and operator not in {"=~", "!~"}:
            wrong.append(f"${variable} may have several values: match it with =~")
        elif variable in single and operator not in {"=", "!="}:
            wrong.append(f"${variable} has one value: match it with =")
        elif variable not in multiple | single:
            wrong.append(f"${variable} is no variable of this dashboard")
    return wrong
