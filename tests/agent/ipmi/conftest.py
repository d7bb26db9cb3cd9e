"""Fixtures of the IPMI trials."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.sources.ipmi.settings import IpmiDevice, IpmiSettings

from tests import parts
from tests.agent.ipmi.bmcs import PASSWORD, SIM_PASSWORD, USER, DcmiBmc, IpmiSim
from tests.conftest import _missing as missing

Settings = Callable[..., IpmiSettings]


@pytest.fixture
def freeipmi() -> None:
    """FreeIPMI's programs."""
    if shutil.which("ipmi-dcmi", path="/usr/sbin:/usr/bin") is None:
        missing("FreeIPMI is not installed (Debian package freeipmi-tools)")


@pytest.fixture
async def dcmi(tmp_path: Path, freeipmi: None) -> AsyncIterator[DcmiBmc]:
    """A BMC that answers DCMI."""
    pytest.importorskip("pyghmi", reason="pyghmi is not installed")
    async with DcmiBmc(tmp_path / "dcmi") as bmc:
        yield bmc


@pytest.fixture
async def sim(tmp_path: Path, freeipmi: None) -> AsyncIterator[IpmiSim]:
    """A BMC with sensors."""
    try:
        bmc = IpmiSim(tmp_path / "sim")
    except parts.PartMissingError as absent:
        missing(str(absent))
    async with bmc:
        yield bmc


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings for some BMCs, each with its password."""

    def make(*bmcs: DcmiBmc | IpmiSim, **changes: Any) -> IpmiSettings:
        devices = []
        for number, bmc in enumerate(bmcs, 1):
            file = tmp_path / f"password{number}"
            secret = SIM_PASSWORD if isinstance(bmc, IpmiSim) else PASSWORD
            file.write_text(secret + "\n", encoding="utf-8")
            devices.append(
                IpmiDevice(
                    host="127.0.0.1",
                    port=bmc.port,
                    name=f"server-{number}",
                    password_file=str(file),
                    # The simulator tells no privilege levels before a session is open.
                    workarounds=["authcap", "opensesspriv"] if isinstance(bmc, IpmiSim) else [],
                )
            )
        return IpmiSettings(**({"username": USER, "devices": devices} | changes))

    return make
