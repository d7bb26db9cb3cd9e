"""Serial numbers that are none, and things that share one: nobody's series is another's."""

import pytest
from jauge_agent.identities import is_placeholder
from jauge_agent.testing import run_virtual

from tests.agent.snmp.test_device import RPDU2, Memory, device, ids

PX = "1.3.6.1.4.1.13742.6"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "00000000",
        "xxxxxxxx",
        "----",
        "N/A",
        "n/a ",
        "Unknown",
        "None",
        "Not Specified",
        "Not Available",
        "System Serial Number",
        "To be filled by O.E.M.",
        "To Be Filled By O.E.M",
        "Default string",
        "123456789",
        "1234567890",
        "0123456789",
        "0123456789ABCDEF",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "fefefefe-fefe-fefe-fefe-fefefefefefe",
        "03000200-0400-0500-0006-000700080009",
    ],
)
def test_a_filler_identifies_nothing(text: str) -> None:
    """Whatever the maker left in."""
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        "3F3452A52295",
        "40000001",
        "1234568",
        "1235",
        "FEED0001",
        "4c4c4544-0051-3010-8052-b4c04f4e5931",
        "PX-1",
        "21",
    ],
)
def test_a_serial_number_is_one(text: str) -> None:
    """However plain it looks."""
    assert not is_placeholder(text)


@pytest.mark.parametrize("filler", ["0", "N/A", "Unknown", "00000000", "Not Available"])
def test_a_device_with_a_filler_goes_by_its_name(filler: str) -> None:
    """Two of them, differently named, have nothing in common."""
    memory = Memory()
    memory.objects[f"{RPDU2}.2.1.9.1"] = filler.encode()
    assert ids(run_virtual(device(memory).open())) == ["pdu:pdu.1"]


def probes(*serials: str) -> Memory:
    """A PX with temperature probes."""
    memory = Memory()
    memory.objects = {
        "1.3.6.1.2.1.1.2.0": PX,
        f"{PX}.3.2.1.1.4.1": b"PXA1",
        f"{PX}.3.2.1.1.3.1": b"PX3",
    }
    for row, serial in enumerate(serials, start=1):
        memory.objects |= {
            f"{PX}.3.6.3.1.2.{row}": 10,
            f"{PX}.3.6.3.1.3.{row}": serial.encode(),
            f"{PX}.3.6.3.1.16.{row}": 7,
            f"{PX}.3.6.3.1.17.{row}": 1,
            f"{PX}.5.5.3.1.2.{row}": 1,
            f"{PX}.5.5.3.1.4.{row}": 200 + row,
        }
    return memory


def test_a_probe_without_a_number_is_the_pdus() -> None:
    """Named by the PDU and its row; a filler, and a number told twice, likewise."""
    found = ids(run_virtual(device(probes("", "QM1", "N/A", "QM1")).open()))
    assert found == ["sensor:PXA1.1", "sensor:QM1", "sensor:PXA1.3", "sensor:PXA1.4"]
