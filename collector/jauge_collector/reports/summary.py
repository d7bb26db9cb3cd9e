"""One page for elected officials: one figure, the way to 2027, what blocks, what is asked.

It says less than the report and nothing else: the demonstrated share alone is the figure, a
forecast is dated actions done, and a total that is not known is not shown as one.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from jauge_models.compliance.policy import Reading
from jauge_models.compliance.status import Result
from jauge_models.compliance.trajectory import Unlock

from jauge_collector.reports.composition import REGIONS, created_ms, marks
from jauge_collector.reports.content import Report, SobrietyRow, data_hash
from jauge_collector.reports.document import Picture, Tile
from jauge_collector.reports.page import typeset
from jauge_collector.reports.prose import Prose, prose, utc_parts
from jauge_collector.reports.sections.criteria import blocking_criteria
from jauge_collector.reports.sections.opening import quarter
from jauge_collector.reports.sections.way import way_picture

_BLOCKS: Final = 4
_ASKS: Final = 4
_LONGEST: Final = 150


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the page holds, in one language."""

    language: str
    region: str
    title: str
    running: str
    marks: tuple[str, ...]
    created: tuple[int, int, int, int, int, int]
    heading: str
    subheading: str
    question: str
    figure: str
    answer: str
    beside: tuple[str, ...]
    way: str
    picture: Picture | None
    blocks_title: str
    blocks: tuple[str, ...]
    asks_title: str
    asks: tuple[str, ...]
    use_title: str
    use: tuple[Tile, ...]
    foot: tuple[str, ...]
    description: str


def pdf(report: Report, language: str) -> bytes:
    """The page as PDF. ``language`` is one of ``console.text.CODES``."""
    return typeset("summary.typ", summarise(report, language), created_ms(report))


def summarise(report: Report, language: str) -> Summary:
    """The page's texts and figures."""
    p, record = prose(language), report.record
    head = record.headline
    share = head.results[Result.DEMONSTRATED]
    marked = marks(report, p)
    name = quarter(record.quarter, p)
    title = p("summary_title", quarter=name, title=record.title)
    return Summary(
        language=language,
        region=REGIONS[language],
        title=p("title_marked", marks=" – ".join(marked), title=title) if marked else title,
        running=p("summary_running"),
        marks=marked,
        created=utc_parts(created_ms(report)),
        heading=p("summary_heading"),
        subheading=p("running_head", title=_short(record.title), quarter=name),
        question=p("summary_question"),
        figure=p.share(share.servers_share),
        answer=p("summary_answer", count=share.servers, total=head.total)
        if head.total
        else p("summary_none"),
        beside=tuple(_beside(report, p)),
        way=p("summary_way"),
        picture=way_picture(report, p) if head.total else None,
        blocks_title=p("summary_blocks"),
        blocks=tuple(_blocks(report, p)) if head.total else (),
        asks_title=p("summary_asks"),
        asks=tuple(_asks(report, p)) if head.total else (),
        use_title=p("summary_consumption"),
        use=tuple(_use(report, p)),
        foot=(
            p("summary_foot"),
            p("summary_hash", digest=data_hash(report)[:16], version=_short(record.policy_version)),
        ),
        description=p("description"),
    )


def _short(text: str, longest: int = 60) -> str:
    """A text cut at a word, so that the page stays one page."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut[longest // 2 :] else cut}…"


def _beside(report: Report, p: Prose) -> Iterator[str]:
    record = report.record
    declared = record.headline.results[Result.DECLARED]
    if declared.servers:
        yield p("summary_declared", count=declared.servers)
    days = {goal.deadline.reading: goal.deadline.day for goal in record.trajectory.goals}
    if Reading.STRICT in days and Reading.WIDE in days:
        yield p("summary_goal", strict=days[Reading.STRICT], wide=days[Reading.WIDE])


def _blocks(report: Report, p: Prose) -> Iterator[str]:
    if not report.record.shares.blocking:
        yield p("summary_nothing_blocks")
    for each in list(blocking_criteria(report))[:_BLOCKS]:
        text = p(
            "summary_block",
            title=p.record.criteria[each.criterion],
            reason=p.record.reason(each.reason),
        )
        yield _short(text, _LONGEST)


def _asks(report: Report, p: Prose) -> Iterator[str]:
    """What would unlock most, each on its own and then together; what is asked and by when."""
    unlocks = [each for each in report.record.trajectory.unlocks if each.blocked]
    starts = {
        each.criterion: each
        for each in reversed(report.record.trajectory.last_starts)
        if not each.past
    }
    alone = [each for each in unlocks if len(each.criteria) == 1][:_ASKS]
    for each in alone:
        yield _ask(each, p) + (
            p("summary_before", day=start.day, reading=p.name(start.reading))
            if (start := starts.get(each.criteria[0]))
            else ""
        )
    if not alone:
        yield p("summary_nothing_asked")
    together = next((each for each in unlocks if len(each.criteria) > 1), None)
    if together is not None and together.demonstrated:
        yield p("summary_gain_together", criteria=together.criteria, count=together.demonstrated)


def _ask(each: Unlock, p: Prose) -> str:
    ask = p.asks.get(each.criteria[0], p.record.criteria[each.criteria[0]])
    return p("summary_gain", ask=ask, count=each.demonstrated) if each.demonstrated else ask


def _use(report: Report, p: Prose) -> Iterator[Tile]:
    known = {each.symbol: each for each in report.sobriety.rows} if report.sobriety else {}
    totals = {each.symbol: (each.value, each.unit) for each in report.year.amounts}
    for symbol, key, unit in (
        ("E_DC", "summary_energy", "kWh"),
        ("W_IN", "summary_water", "m3"),
        ("CO2e", "summary_carbon", "tCO2e"),
    ):
        row = known.get(symbol)
        value, shown = totals.get(symbol, (row.now if row else None, unit))
        yield Tile(
            value=p("not_measured") if value is None else p.total(value, shown),
            name=p(key),
            sub=_change(row, report, p),
        )


def _change(row: SobrietyRow | None, report: Report, p: Prose) -> str:
    if row is None or row.change is None or report.sobriety is None:
        return p("summary_no_base")
    sign = "+" if row.change > 0 else ""
    change = f"{sign}{p.plain.number(row.change * 100, 1)}\u202f%"
    return p("summary_change", change=change, year=str(report.sobriety.base_first.year))
