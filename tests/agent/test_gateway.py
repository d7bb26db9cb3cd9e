"""One agent as a gateway, in small: the devices that are well are read whatever the ill ones do."""

from pathlib import Path

import pytest

from benchmarks.gateway import Site, trial

pytest.importorskip("gufo.snmp", reason="gufo-snmp is not installed (jauge-agent[snmp])")
pytest.importorskip("pymodbus", reason="pymodbus is not installed (jauge-agent[modbus])")


async def test_three_ill_devices_harm_none_of_the_others(mosquitto: object, tmp_path: Path) -> None:
    """Of thirty one hangs, one answers garbage, one refuses; the others are read at each tick."""
    del mosquitto  # asked for, so that the test skips where it is not installed
    found = await trial(tmp_path, Site(snmp=15, modbus=15, redfish=0), period_s=4, ticks=3)
    assert found.read == [27, 27, 27], found.unread
    assert found.series > 27 * 10
    log = (tmp_path / "agent.log").read_text(encoding="utf-8")
    assert log.count('"device lost"') == 3
    assert "Traceback" not in log
