"""Formats of time labels: from a text to the moment or the clock time that it writes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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


def check_format(form: str) -> None:
    """Raises ValueError where a pattern reads no time that it would itself write."""
    if form in {"epoch_s", "epoch_ms", "iso"}:
        return
    try:
        reader(form)(EPOCH.strftime(form))
    except (ValueError, OverflowError, re.error) as error:
        raise ValueError(f"{form!r} cannot be read back: {error}") from None


def reader(form: str) -> Callable[[str], datetime]:
    """Text to a moment, or to clock time where the text names no offset. Raises ValueError."""
    if form == "epoch_s":
        return lambda text: EPOCH + timedelta(seconds=float(text))
    if form == "epoch_ms":
        return lambda text: EPOCH + timedelta(milliseconds=float(text))
    if form == "iso":
        return _read_iso
    midnight = _with_hour(form)
    if "hour" not in midnight.groupindex:
        return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - placed by the caller

    def read(text: str) -> datetime:
        found = midnight.fullmatch(text)
        if found is None or found["hour"] != "24":
            return datetime.strptime(text, form)  # noqa: DTZ007 - placed by the caller
        rest = found.groupdict()
        if int(rest.get("minute") or 0) or int(rest.get("second") or 0):
            raise ValueError("a day ends at 24:00")
        at = found.start("hour")
        return datetime.strptime(f"{text[:at]}00{text[at + 2 :]}", form) + _DAY  # noqa: DTZ007 - a civil label

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
