"""QueryPerf by hand: what is asked, and what is answered, as XML.

pyvmomi makes an object of every value; for 5 000 guests that takes the best part of a core's
minute's work several times over. Here the question is put together as text, and the answer read as
it comes, into numbers only. The shape of both is that of the interface's description (vim.wsdl:
PerfQuerySpec, PerfEntityMetric); document types are refused, so that nothing can expand.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Final, NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

from jauge_agent.sources.vsphere.totals import STEP_MS

_LONGEST_TEXT: Final = 4096
"""Characters of one element; an answer has numbers and names."""

LONGEST_ANSWER: Final = 256 * 1024 * 1024
"""Bytes; a thousand guests' answer of a quarter of an hour takes some ten million."""

_BEFORE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
    '<soapenv:Body><QueryPerf xmlns="urn:vim25">'
)
_AFTER: Final = "</QueryPerf></soapenv:Body></soapenv:Envelope>"


class Metrics(NamedTuple):
    """Which counters are asked for."""

    xml: str

    @classmethod
    def of(cls, wanted: Iterable[tuple[int, str]]) -> "Metrics":
        """Counters by number and instance."""
        return cls(
            "".join(
                f"<metricId><counterId>{number}</counterId>"
                f"<instance>{escape(instance)}</instance></metricId>"
                for number, instance in wanted
            )
        )


class Question(NamedTuple):
    """Samples of one host or guest, those after ``start_ms`` up to ``end_ms``."""

    key: str
    """The vCenter's own key of it."""
    is_host: bool
    start_ms: int
    end_ms: int
    most: int
    """Samples at most; the simulator gives none without it."""
    metrics: Metrics


@dataclass(slots=True)
class Answered:
    """What one host or guest has answered."""

    key: str = ""
    times: list[int] = field(default_factory=list)
    """In ms since the Unix epoch."""
    series: list[tuple[int, str, list[int]]] = field(default_factory=list)
    """Number of the counter, instance, and the samples as they came."""


def asked(manager: str, questions: Sequence[Question]) -> bytes:
    """The body of the request; ``manager`` is the vCenter's key of its PerformanceManager."""
    parts = [_BEFORE, f'<_this type="PerformanceManager">{escape(manager)}</_this>']
    for each in questions:
        kind = "HostSystem" if each.is_host else "VirtualMachine"
        parts.append(
            f'<querySpec><entity type="{kind}">{escape(each.key)}</entity>'
            f"<startTime>{_moment(each.start_ms)}</startTime>"
            f"<endTime>{_moment(each.end_ms)}</endTime><maxSample>{each.most}</maxSample>"
            f"{each.metrics.xml}<intervalId>{STEP_MS // 1000}</intervalId>"
            "<format>normal</format></querySpec>"
        )
    parts.append(_AFTER)
    return "".join(parts).encode()


def answered(read: Callable[[int], bytes]) -> list[Answered]:
    """What an answer says; ``read`` gives its next bytes, none at its end.

    Raises ExpatError for what is no such answer, or too long.
    """
    reader, length = _Reader(), 0
    while part := read(1 << 16):
        length += len(part)
        if length > LONGEST_ANSWER:
            raise ExpatError("an answer is too long")
        reader.parser.Parse(part, False)
    reader.parser.Parse(b"", True)
    return reader.found


class _Reader:
    """Takes an answer apart while it comes."""

    def __init__(self) -> None:
        self.found: list[Answered] = []
        self.parser = parser = ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take
        parser.StartDoctypeDeclHandler = _refuse
        self._text = ""
        self._entity = Answered()
        self._number, self._instance = 0, ""
        self._samples: list[int] = []
        self._depth = 0
        """How many elements called ``value`` are open: a series, and a sample in it."""
        self._moments: dict[str, int] = {}

    def _begin(self, name: str, _: object) -> None:
        self._text = ""
        if name.endswith(" value"):
            self._depth += 1
            if self._depth == 1:
                self._number, self._instance, self._samples = 0, "", []
        elif name.endswith(" returnval"):
            self._entity = Answered()

    def _take(self, text: str) -> None:
        self._text += text
        if len(self._text) > _LONGEST_TEXT:
            raise ExpatError("an element is too long")

    def _end(self, name: str) -> None:
        text, self._text = self._text, ""
        local = name.rpartition(" ")[2]
        if local == "value":
            self._depth -= 1
            if self._depth == 1:
                self._samples.append(_number(text))
            else:
                self._entity.series.append((self._number, self._instance, self._samples))
        elif local == "timestamp":
            self._entity.times.append(self._time_ms(text))
        elif local == "counterId":
            self._number = _number(text)
        elif local == "instance":
            self._instance = text
        elif local == "entity":
            self._entity.key = text
        elif local == "returnval":
            self.found.append(self._entity)

    def _time_ms(self, text: str) -> int:
        """A time in ms since the Unix epoch; one without a zone is UTC."""
        known = self._moments.get(text)
        if known is None:
            try:
                moment = datetime.fromisoformat(text.strip())
            except ValueError:
                raise ExpatError("a time stamp is none") from None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            known = self._moments[text] = round(moment.timestamp() * 1000)
        return known


def _refuse(*_: object) -> None:
    raise ExpatError("a document type in an answer")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ExpatError("a number is none") from None


def _moment(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
