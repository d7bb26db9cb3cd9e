"""Time labels of rows: from the text of the time columns to the moments they name."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from jauge_collector import civil
from jauge_collector.importer.mapping import LONGEST_CIVIL_PERIOD_S, Mapping

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DAY: Final = timedelta(days=1)
_ISO_24: Final = re.compile(r"(?<=[T ])24(?=:00(:00([.,]0+)?)?(Z|[+-].*)?$)")

_WIDTHS: Final = {
    "Y": r"\d{4}",
    "f": r"\d{1,6}",
    "j": r"\d{1,3}",
    "H": r"(?P<hour>24|\d{1,2})",
    "M": r"(?P<minute>\d{1,2})",
    "S": r"(?P<second>\d{1,2})",
    **dict.fromkeys("dmyIwUW", r"\d{1,2}"),
}


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
        self._read = _reader(section.format)
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
        if moment.tzinfo is None:
            moment = self._placed(moment, text)
        return round((moment - _EPOCH) / _MILLISECOND)

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


def _reader(form: str) -> Callable[[str], datetime]:
    """Text to a moment, or to clock time where the text names no offset. Raises ValueError."""
    if form == "epoch_s":
        return lambda text: _EPOCH + timedelta(seconds=float(text))
    if form == "epoch_ms":
        return lambda text: _EPOCH + timedelta(milliseconds=float(text))
    if form == "iso":
        return _read_iso
    if "%H" not in form:
        return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - placed by the caller
    midnight = _with_hour(form)

    def read(text: str) -> datetime:
        found = midnight.fullmatch(text)
        if found is None or found["hour"] != "24":
            return datetime.strptime(text, form)  # noqa: DTZ007 - placed by the caller
        rest = found.groupdict()
        if int(rest.get("minute") or 0) or int(rest.get("second") or 0):
            raise ValueError("a day ends at 24:00")
        at = found.start("hour")
        return datetime.strptime(f"{text[:at]}00{text[at + 2 :]}", form) + _DAY  # noqa: DTZ007

    return read


def _read_iso(text: str) -> datetime:
    if "24:00" not in text or not _ISO_24.search(text):
        return datetime.fromisoformat(text)
    return datetime.fromisoformat(_ISO_24.sub("00", text)) + _DAY


def _with_hour(form: str) -> re.Pattern[str]:
    """A pattern's text as a regular expression that also takes hour 24."""
    parts: list[str] = []
    at = 0
    for directive in re.finditer(r"%(.)", form):
        parts.append(re.escape(form[at : directive.start()]))
        name = directive[1]
        parts.append("%" if name == "%" else _WIDTHS.get(name, ".+?"))
        at = directive.end()
    parts.append(re.escape(form[at:]))
    return re.compile("".join(parts))
