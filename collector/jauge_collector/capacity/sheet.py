"""The planner's answer as it is read: one sentence, tables, what was not known.

One form for the terminal, the console, the report and CSV; numbers are written as the language
does.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple

from jauge_models.capacity.answer import Answer, Option, Sentence
from jauge_models.capacity.siting import Unknown

from jauge_collector import civil
from jauge_collector.capacity import measured_tables, scenario_tables
from jauge_collector.capacity.sheet_table import Table, aligned, hours, name, runs, whole
from jauge_collector.capacity.words import Words


class Sheet(NamedTuple):
    """All that is read, in its order."""

    title: str
    period: str
    sentence: str
    tables: tuple[Table, ...]
    unknown_title: str
    unknown: tuple[str, ...]
    simulated_title: str
    simulated: tuple[str, ...]


def sheet(found: Answer, w: Words, zone: tzinfo) -> Sheet:
    """The answer in the words of a language. ``zone``: the scenario's."""
    end_ms = found.start_ms + found.hours * 3_600_000
    tables = (
        scenario_tables.services(found, w),
        scenario_tables.limits(found, w, zone),
        scenario_tables.options(found, w),
        scenario_tables.energy(found.base, w),
        measured_tables.outlook(found, w),
        measured_tables.pools(found, w),
        measured_tables.idle(found.idle, w),
        scenario_tables.consolidation("consolidation_now", found.running, w),
        scenario_tables.consolidation("consolidation", found.consolidation, w),
        scenario_tables.draws(found, w),
        scenario_tables.figures(found, w),
    )
    return Sheet(
        title=found.scenario,
        period=w(
            "period",
            start=w.plain.day(civil.day(found.start_ms, zone)),
            end=w.plain.day(civil.day(end_ms - 1, zone)),
            hours=w.plain.number(found.hours),
        ),
        sentence=sentence(found.sentence, found.options, w, zone),
        tables=tuple(table for table in tables if table is not None),
        unknown_title=w("unknown"),
        unknown=(
            *(w.lacking(code) for code in found.base.unknown),
            *_of_options(found, w),
            *(
                w.lacking(f"curve:{kind}", why=w.names[why])
                for kind, why in sorted(found.unlearnt.items())
            ),
        ),
        simulated_title=w("simulated"),
        simulated=tuple(w.how(code) for code in found.simulated),
    )


def _of_options(found: Answer, w: Words) -> Iterator[str]:
    """What was not known of an option's plant beside what was not of the plant as it is."""
    for option in found.options:
        codes = [code for code in option.outcome.unknown if code not in found.base.unknown]
        if any(Unknown.RACK_UNITS in added.unknown for added in option.change.added):
            codes.append("rack_units")
        for code in codes:
            yield w("of_option", option=option.name, what=w.lacking(code))


def sentence(said: Sentence, options: Sequence[Option], w: Words, zone: tzinfo) -> str:
    """The answer in one or two sentences."""
    values = dict(said.values)
    parts = [_verdict(said.code, values, w)]
    if said.code == "refused" and options:
        parts.append(w("remedy", remedy=said.remedy) if said.remedy else w("no_remedy"))
    if "limit" in values:
        at_ms = values.get("at_ms")
        moment = w.plain.moment(int(at_ms), zone) if at_ms is not None else ""
        parts.append(
            w(
                "nearest_at" if moment else "nearest",
                limit=name(w, str(values["limit"])),
                place=values["place"],
                share=w.plain.percent(float(values["share"])),
                moment=moment,
            )
        )
    return " ".join(parts)


def _verdict(code: str, values: Mapping[str, str | float], w: Words) -> str:
    if code == "fits_waiting":
        longest = whole(w, values["longest_wait_h"])
        return w.several(code, float(values["waited"]), longest=longest)
    if code == "refused":
        # With their unit: hours are not desktops.
        asked = float(values["asked"])
        return w.several(
            code,
            float(values["unplaced"]),
            workload=values["workload"],
            asked=runs(w, asked) if values["unit"] == "runs" else hours(w, asked),
            obstacle=name(w, str(values["obstacle"])),
        )
    return w(code)


def lines(found: Sheet) -> Iterator[str]:
    """The sheet for a terminal, tables aligned."""
    yield found.title
    yield found.period
    yield ""
    yield found.sentence
    for table in found.tables:
        yield ""
        yield table.title
        if table.text:
            yield f"  {table.text}"
        yield from aligned(table)
    for title, some in (
        (found.unknown_title, found.unknown),
        (found.simulated_title, found.simulated),
    ):
        if some:
            yield ""
            yield title
            yield from (f"  {one}" for one in some)
