"""Section 5: the temperature of the rooms; the hours of each row add up to the period."""

from typing import Final

from jauge_models.compliance.psychrometrics import HOUR_MS, TimeInBands

from jauge_collector.reports.content import AttestedHours, Report, Temperature
from jauge_collector.reports.document import Block, Cell, Column, Paragraph, Section, Table, cells
from jauge_collector.reports.prose import DASH, Prose

_ROOMS: Final = 30
_ATTESTED: Final = 60
"""The latest attested hours; the JSON has all."""


def temperature(report: Report, p: Prose) -> Section:
    """Section 5: set point, hours in bands that add up to the period, rack cooling indices."""
    found = report.temperature
    blocks: list[Block] = [
        Paragraph(text=p("envelope_used", envelope=found.envelope)),
        Paragraph(
            text=p("set_point", document=found.set_point) if found.set_point else p("no_set_point")
        ),
        *_set_points(found, p),
    ]
    rooms = found.rooms[:_ROOMS]
    if not rooms:
        blocks += [Paragraph(text=p("no_rooms")), *_attested(found, p)]
        return Section(id="temperature", title=p("section_temperature"), blocks=tuple(blocks))
    bands = ("within", "above", "below", "beyond", "under", "unmeasured", "sum")
    for key, times in (
        ("hours_quarter", [room.quarter for room in rooms]),
        ("hours_year", [room.year for room in rooms]),
    ):
        blocks.append(
            Table(
                caption=p(key),
                columns=(
                    Column(name=p("place"), width=2),
                    *(Column(name=p(f"band_{band}"), number=True, width=1.15) for band in bands),
                ),
                rows=tuple(
                    cells(room.place, *_bands(time, p))
                    for room, time in zip(rooms, times, strict=True)
                ),
                note=p("bands_note"),
            )
        )
    blocks.append(
        Table(
            caption=p("rooms"),
            columns=(
                Column(name=p("place"), width=2),
                Column(name=p("allowable"), number=True, width=1.2),
                Column(name=p("recommended"), number=True, width=1.2),
                Column(name=p("highest"), number=True),
                Column(name=p("rci_high"), number=True),
                Column(name=p("rci_low"), number=True),
                Column(name=p("sensors"), width=2.2),
            ),
            rows=tuple(
                cells(
                    room.place,
                    p.share(_of(room.quarter, "allowable")),
                    p.share(_of(room.quarter, "within")),
                    p.number(room.highest_c, "°C", 1),
                    _percent(room.rci_high, p),
                    _percent(room.rci_low, p),
                    p.some(room.sensors, 3) or p("no_sensor"),
                )
                for room in rooms
            ),
            note=p("rci_note"),
        )
    )
    if len(found.rooms) > len(rooms):
        blocks.append(Paragraph(text=p("rows_left", count=len(found.rooms) - len(rooms))))
    blocks += _attested(found, p)
    return Section(id="temperature", title=p("section_temperature"), blocks=tuple(blocks))


def _set_points(found: Temperature, p: Prose) -> tuple[Block, ...]:
    """What rooms were set to, by what somebody attests."""
    if not found.attested_set_points:
        return ()
    return (
        Table(
            caption=p("attested_set_points"),
            columns=(
                Column(name=p("attested_room"), width=2),
                Column(name=p("attested_mean"), number=True),
                Column(name=p("attested_time"), number=True),
                Column(name=p("attested_entries"), width=2),
            ),
            rows=tuple(
                cells(
                    one.room,
                    p.number(one.celsius, "°C", 1),
                    p.share(one.share),
                    ", ".join(str(entry) for entry in one.entries) or DASH,
                )
                for one in found.attested_set_points
            ),
            note=p("attested_set_points_note"),
        ),
    )


def _attested(found: Temperature, p: Prose) -> tuple[Block, ...]:
    """Hours that somebody attests: never among the measured ones."""
    shown = found.attested_hours[-_ATTESTED:]
    if not shown:
        return ()
    left = len(found.attested_hours) - len(shown)
    return (
        Table(
            caption=p("attested_hours"),
            columns=(
                Column(name=p("entry"), number=True, width=0.6),
                Column(name=p("attested_place"), width=1.5),
                Column(name=p("attested_what"), width=1.4),
                Column(name=p("from"), width=1.6),
                Column(name=p("attested_observed"), number=True, width=1.25),
                Column(name=p("allowable"), number=True, width=1.4),
                Column(name=p("recommended"), number=True, width=1.65),
                Column(name=p("signatory"), width=1.7),
                Column(name=p("attested_counts"), width=0.9),
            ),
            rows=tuple(_hours(one, p) for one in shown),
            note=" ".join(
                [p("attested_hours_note"), *([p("attested_left", count=left)] if left else [])]
            ),
        ),
    )


def _hours(one: AttestedHours, p: Prose) -> tuple[Cell, ...]:
    confirmed = p("confirmed_by", name=one.confirmed_by) if one.confirmed_by else ""
    return (
        Cell(text=p.number(one.entry)),
        Cell(text=one.place),
        Cell(text=p(f"quantity_{one.quantity}"), sub=one.envelope),
        Cell(text=p.plain.day(one.first), sub=p("until", moment=p.plain.day(one.last))),
        Cell(text=p.number(one.observed_h, "h")),
        Cell(text=p.share(one.allowable_h / one.observed_h)),
        Cell(text=p.share(one.recommended_h / one.observed_h)),
        Cell(text=one.signatory or DASH, sub=confirmed or p("not_confirmed")),
        Cell(text=p.record.name("yes" if one.counts else "no")),
    )


def _bands(time: TimeInBands | None, p: Prose) -> tuple[str, ...]:
    if time is None:
        return (*[DASH] * 5, p("not_measured"), DASH)
    return p.hours(tuple(time.hours().values()))


def _of(time: TimeInBands | None, kind: str) -> float | None:
    """The share of the measured time; None where nothing was measured."""
    if time is None or time.measured_ms < HOUR_MS / 1000:
        return None
    return (time.allowable_ms if kind == "allowable" else time.within_ms) / time.measured_ms


def _percent(value: float | None, p: Prose) -> str:
    return DASH if value is None else f"{p.plain.number(value, 1)}\u202f%"
