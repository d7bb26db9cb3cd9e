"""The examples of docs/wire-protocol.md are what the code reads."""

import re
from pathlib import Path

from jauge_collector.checks import MAX_SERIES_OF_AGENT
from jauge_models import wire
from jauge_models.readings import flaw_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "wire-protocol.md").read_text("utf-8")
ADDRESS = wire.Address("lognes-example", "srv-1")


def section(title: str) -> str:
    """What stands under a heading."""
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(text)


def example(language: str) -> bytes:
    """The one code block of a kind."""
    (block,) = re.findall(rf"```json {language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(block).encode()


def test_the_pack_of_the_page_decodes_and_every_record_may_be_stored() -> None:
    """The SenML example passes the decoder and the catalogue."""
    pack = wire.decode_pack(example("senml"), ADDRESS)
    assert (pack.boot, pack.seq, pack.time_ms - pack.oldest_ms) == ("9f2c61d0", 42, 30_000)
    for record in pack.records:
        resource, _, quantity = record.n.partition("/")
        assert record.v is not None
        assert flaw_of(resource, quantity, record.u, record.v) is None


def test_the_small_documents_of_the_page_decode() -> None:
    """Answer, birth and state examples are read with the values they show."""
    answer = wire.decode_answer(example("ack"))
    assert (answer.stored, answer.refused) == ([(40, 42)], [(43, "too_old")])
    birth = wire.decode_birth(example("birth"))
    assert birth.sources[1].absent == "no /sys/class/powercap"
    assert birth.resources[0].quantities == {"cpu_utilisation": wire.Method.GAUGE}
    assert wire.decode_state(example("state")).synchronised is True


def test_every_reason_of_the_code_stands_on_the_page() -> None:
    """Nobody meets a reason that the page does not explain."""
    missing: list[str] = [reason for reason in wire.Reason if f"`{reason}`" not in PAGE]
    missing += [cut for cut in wire.Cut if f"`{cut}`" not in section("birth")]
    assert missing == []


def test_the_limits_of_the_code_stand_on_the_page() -> None:
    """Whoever writes another agent finds how long a text may be, and of how many there may be."""
    limits = {
        "birth": (
            wire.MAX_BIRTH_RESOURCES,
            wire.MAX_TEXT_LENGTH,
            wire.MAX_LABELS,
            wire.MAX_LABEL_LENGTH,
        ),
        "readings": (wire.MAX_RECORDS, wire.MAX_PAYLOAD_BYTES // 1024, MAX_SERIES_OF_AGENT),
    }
    for title, numbers in limits.items():
        found = set(re.findall(r"\d+", section(title).replace("\u202f", "").replace(" 000", "000")))
        assert {str(number) for number in numbers} <= found, title
