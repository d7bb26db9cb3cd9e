"""Time labels of rows: from the text of the time columns to the moments they name."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from jauge_collector import civil
from jauge_collector.importer.formats import EPOCH, reader
from jauge_collector.importer.mapping import LONGEST_CIVIL_PERIOD_S, Mapping

_MILLISECOND: Final = timedelta(milliseconds=1)


class LabelError(ValueError):
    """A label that names no moment, or more than one."""


class Labels:
    """Reads the labels of one file, one after the other.

    With ``labels = "end"`` in a zone whose clock changes, it is the period's *start* that is
    looked up on the clock: the hour that ends when the clock goes back at 03:00 is labelled 03:00.
    """

    def __init__(self, mapping: Mapping) -> None:
        section = mapping.declared.time
        self._mapping = mapping
        self._section = section
        self._read = reader(section.format)
        self._zone: tzinfo | None = civil.zone(section.zone) if section.zone else None
        self._back = timedelta()
        if (
            section.labels == "end"
            and self._zone is not None
            and not civil.is_fixed(self._zone)
            and (section.period_s or 0) <= LONGEST_CIVIL_PERIOD_S
        ):
            self._back = timedelta(seconds=section.period_s or 0)
        self._previous: datetime | None = None
        self._ascending: bool | None = None
        self._seen_twice: dict[datetime, int] = {}

    def moment_ms(self, text: str) -> int:
        """The moment of a label. Raises LabelError; ConfigurationError where no zone is known."""
        try:
            moment = self._read(text)
        except (ValueError, OverflowError):
            raise LabelError(
                f"{text!r} does not fit time.format {self._section.format!r}"
            ) from None
        if moment.year not in civil.YEARS:
            raise LabelError(
                f"{text!r} lies outside the years {civil.YEARS[0]} to {civil.YEARS[-1]}"
            )
        if moment.tzinfo is None:
            moment = self._placed(moment, text)
        return round((moment - EPOCH) / _MILLISECOND)

    def _placed(self, naive: datetime, text: str) -> datetime:
        if self._zone is None:
            raise self._mapping.wrong(
                "time.zone",
                f"missing, and {text!r} names none",
                "add 'Europe/Paris' or a fixed 'UTC+01:00'",
            )
        if civil.is_fixed(self._zone):
            return naive.replace(tzinfo=self._zone)
        start = naive - self._back
        first, second = (start.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            self._follow(start)
            return first.astimezone(UTC) + self._back
        if first.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) != start:
            if self._section.nonexistent == "refuse":
                raise LabelError(
                    f"{text!r} does not exist in {self._section.zone}: the clock leaps over it "
                    "(time.nonexistent = 'forward' accepts it)"
                )
            self._follow(start)
            return first.astimezone(UTC) + self._back
        chosen = second if self._second(start, text) else first
        self._follow(start)
        return chosen.astimezone(UTC) + self._back

    def _follow(self, start: datetime) -> None:
        if self._section.ambiguous != "in_order":
            return
        if self._previous is not None and self._previous != start and self._ascending is None:
            self._ascending = start > self._previous
        self._previous = start

    def _second(self, start: datetime, text: str) -> bool:
        rule = self._section.ambiguous
        if rule == "refuse":
            raise LabelError(
                f"{text!r} occurs twice in {self._section.zone} "
                "(set time.ambiguous to 'first', 'second' or 'in_order')"
            )
        if rule != "in_order":
            return rule == "second"
        if self._ascending is None and self._previous not in (None, start):
            self._follow(start)
        if self._ascending is None:
            raise LabelError(f"{text!r} occurs twice and no row before it shows the order")
        times = self._seen_twice[start] = self._seen_twice.get(start, 0) + 1
        if times > 2:
            raise LabelError(f"{text!r} is there more than twice")
        return (times == 2) is self._ascending
