"""What is fuzzed: for each target how its input is made, and what must come of it.

A target's ``run`` raises for anything but the refusals that its code promises.
"""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from jauge_agent import config as agent_config
from jauge_collector import config as collector_config
from jauge_collector import sites
from jauge_collector.checks import Checks, PackError
from jauge_collector.importer import mapping as mappings
from jauge_collector.importer.load import RefusedError, stage_file
from jauge_collector.importer.stage import Stage
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import (
    MAX_PAYLOAD_BYTES,
    Address,
    Channel,
    WireError,
    claimed_head,
    decode_answer,
    decode_birth,
    decode_pack,
    decode_state,
    parse_topic,
)

from tests.fuzz.devices import devices
from tests.fuzz.mutations import mutated
from tests.fuzz.pages import pages

ROOT: Final = Path(__file__).resolve().parents[2]
ADDRESS: Final = Address("par", "srv-1")
NOW_MS: Final = 1_790_000_000_000

_PACK: Final = (
    b'[{"bn":"par/srv-1/","bt":1790000000,"bboot":"0a1b2c3d4e5f6071","bseq":7,"bfrom":1789999990,'
    b'"n":"host/power","u":"W","v":231.5},{"n":"gpu:0/temperature","u":"Cel","v":61.2,"t":-1},'
    b'{"n":"meter:m1/energy","u":"J","v":123456789.0}]'
)
_BIRTH: Final = (
    b'{"boot":"0a1b","version":"0.1.0","sent_at":1790000000.5,"sources":[{"name":"host","period_s":'
    b'30,"absent":null}],"resources":[{"id":"host","quantities":{"power":"gauge"},"name":"n",'
    b'"labels":{"rack":"a1"}}]}'
)
_STATE: Final = (
    b'{"boot":"0a1b","online":true,"sent_at":1790000000.5,"synchronised":true,"spooled":12}'
)
_ANSWER: Final = b'{"boot":"0a1b","stored":[[1,4],[6,6]],"refused":[[5,"too_old"]]}'


@dataclass(frozen=True, slots=True)
class Target:
    """``opened`` gives the function that takes one made-up input."""

    name: str
    about: str
    inputs: st.SearchStrategy[Any]
    opened: Callable[[], contextlib.AbstractContextManager[Callable[[Any], None]]]


@contextlib.contextmanager
def _packs() -> Iterator[Callable[[bytes], None]]:
    checks = Checks(["par"], series_per_agent=50)

    def run(payload: bytes) -> None:
        with contextlib.suppress(WireError):
            pack = decode_pack(payload, ADDRESS)
            assert len(payload) <= MAX_PAYLOAD_BYTES
            assert pack.records
        claimed_head(payload)
        with contextlib.suppress(PackError):
            batch = checks.batch(ADDRESS.topic(Channel.READINGS), payload, NOW_MS, 0)
            assert all(reading.time_ms <= NOW_MS + 60_000 for reading in batch.readings)
            assert all(reading.value == reading.value for reading in batch.readings)

    yield run


@contextlib.contextmanager
def _documents() -> Iterator[Callable[[bytes], None]]:
    def run(payload: bytes) -> None:
        with contextlib.suppress(WireError):
            decode_birth(payload, Counter())
        with contextlib.suppress(WireError):
            decode_state(payload)
        with contextlib.suppress(WireError):
            decode_answer(payload)
        with contextlib.suppress(WireError):
            parse_topic(payload.decode("utf-8", errors="replace"))

    yield run


@contextlib.contextmanager
def _configurations() -> Iterator[Callable[[tuple[str, bytes]], None]]:
    readers: Mapping[str, Callable[[Path], object]] = {
        "agent": agent_config.read,
        "collector": collector_config.load,
        "site": sites.load,
        "mapping": mappings.load,
    }
    with tempfile.TemporaryDirectory(prefix="jauge-fuzz-") as folder:
        path = Path(folder) / "file.toml"

        def run(made: tuple[str, bytes]) -> None:
            kind, text = made
            path.write_bytes(text)
            try:
                readers[kind](path)
            except ConfigurationError as error:
                told = str(error)
            else:
                return
            assert "\n" not in told, "an error is one line"
            assert len(told) < 2000, "an error is a short line"

        yield run


@contextlib.contextmanager
def _imports() -> Iterator[Callable[[bytes], None]]:
    with tempfile.TemporaryDirectory(prefix="jauge-fuzz-") as folder:
        file, mapping_file = Path(folder) / "table.csv", Path(folder) / "mapping.toml"
        mapping_file.write_bytes(_MAPPING)
        mapping = mappings.load(mapping_file)

        def run(text: bytes) -> None:
            file.write_bytes(text)
            series = [column.series for column in mapping.columns]
            for skip_bad in (False, True):
                with contextlib.suppress(RefusedError, ConfigurationError), Stage(series) as stage:
                    outcome = stage_file(
                        file,
                        mapping,
                        stage,
                        oldest_ms=0,
                        newest_ms=NOW_MS,
                        skip_bad=skip_bad,
                        progress=lambda *_: None,
                    )
                    assert outcome.readings <= outcome.rows * len(series)

        yield run


_MAPPING: Final = b"""
site = "par"
[time]
columns = ["end of hour"]
format = "iso"
zone = "Europe/Paris"
labels = "end"
period_s = 3600
ambiguous = "in_order"
nonexistent = "forward"
[file]
delimiter = ";"
comment = "#"
skip = ["^Total"]
[values]
decimal = ","
thousands = " "
not_measured = ["-1", "< 0", "n/a"]
[[columns]]
column = "kWh"
resource = "meter:ups-a"
quantity = "energy_amount"
unit = "kWh"
[[columns]]
column = "inlet"
resource = "sensor:inlet"
quantity = "temperature"
unit = "Cel"
instant = true
"""
_TABLES: Final = (
    b"end of hour;kWh;inlet\r\n2026-10-25T02:00;1 094,5;-1\r\n2026-10-25T02:00;9;2\r\n# x\r\nTotal",
    b"\xef\xbb\xbfend of hour;kWh;inlet\n2026-01-01T24:00;1;2\n2026-01-02T01:00;n/a;\n",
    b'"end of hour";"kWh";"inlet"\n"2026-01-01 05:00";"1,5";"2"\n',
)


def _samples() -> list[tuple[str, bytes]]:
    packages = {
        "agent": ("agent/jauge_agent", "agent"),
        "collector": ("collector/jauge_collector", "collector"),
        "site": ("collector/jauge_collector", "site"),
        "mapping": ("collector/jauge_collector", "mapping"),
    }
    found: list[tuple[str, bytes]] = []
    for kind, (folder, name) in packages.items():
        text = (ROOT / folder / f"{name}.sample.toml").read_bytes()
        lines = [line for line in text.splitlines() if line and not line.startswith(b"# ")]
        found.append((kind, b"\n".join(lines)))
        found.append((kind, b"\n".join(line.removeprefix(b"#") for line in lines)))
    found += [("mapping", _MAPPING)]
    found += [
        ("site", path.read_bytes()) for path in sorted((ROOT / "examples").rglob("site*.toml"))
    ]
    return found


def _files() -> st.SearchStrategy[tuple[str, bytes]]:
    by_kind: dict[str, list[bytes]] = {}
    for kind, text in _samples():
        by_kind.setdefault(kind, []).append(text)
    return st.one_of(*(st.tuples(st.just(kind), mutated(texts)) for kind, texts in by_kind.items()))


TARGETS: Final = {
    target.name: target
    for target in (
        Target("packs", "the SenML decoder and the gate behind it", mutated([_PACK]), _packs),
        Target(
            "documents",
            "births, states, answers and topics",
            mutated([_BIRTH, _STATE, _ANSWER, b"jauge/v1/par/srv-1/readings"]),
            _documents,
        ),
        Target("configuration", "every kind of configuration file", _files(), _configurations),
        Target("import", "tables for import", mutated(_TABLES), _imports),
        Target("devices", "answers to SNMP, Modbus, Redfish and IPMI", *devices()),
        Target("pages", "every HTTP route of the console", *pages(locked=False)),
        Target("doors", "the same behind tokens", *pages(locked=True)),
    )
}
