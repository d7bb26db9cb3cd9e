"""A simulated vCenter behind a relay, and the source that reads it."""

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.clock import now_ms
from jauge_agent.source import Outcome
from jauge_agent.sources.vsphere.settings import VCenter, VsphereSettings
from jauge_agent.sources.vsphere.source import VCenterSource
from jauge_agent.trust import Trust
from jauge_models.wire import ResourceDescription

from tests.agent.certificates import Authority
from tests.agent.vsphere.relay import Relay
from tests.parts import PartMissingError
from tests.vcsim.simulator import PASSWORD, USER, Vcsim, administered, dropped


@dataclass
class Clock:
    """The vCenter's clock, which stands still but for what is added."""

    time_ms: int = field(default_factory=now_ms)

    def now_ms(self) -> int:
        """In ms since the Unix epoch."""
        return self.time_ms

    def add(self, seconds: float) -> None:
        """Let time pass."""
        self.time_ms += round(seconds * 1000)


@dataclass
class Ground:
    """One vCenter under trial."""

    vcsim: Vcsim
    relay: Relay
    authority: Authority
    password: Path
    clock: Clock
    sources: list[VCenterSource] = field(default_factory=list)
    administrators: list[Any] = field(default_factory=list)

    def settings(self, port: int | None = None, **changes: Any) -> VsphereSettings:
        """Those of a source with this vCenter alone; ``changes`` are keys of the vCenter."""
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port or self.relay.port,
            "username": USER,
            "password_file": str(self.password),
            "ca_file": str(self.authority.certificate),
        }
        return VsphereSettings(devices=[VCenter(**(given | changes))])

    def source(self, port: int | None = None, **changes: Any) -> VCenterSource:
        """What reads this vCenter; closed at the end of the test."""
        settings = self.settings(port, **changes)
        self.sources.append(VCenterSource(settings.devices[0], settings, Trust()))
        return self.sources[-1]

    def administrator(self) -> Any:
        """A connection that may do what Jauge may not."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        self.administrators.append(administered(self.vcsim, context))
        return self.administrators[-1]


Start = Callable[..., Awaitable[Ground]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Samples are 20 s apart: the vCenter's clock goes on as the test wants."""
    pytest.importorskip("pyVmomi", reason="pyvmomi is not installed (extra vsphere)")
    from jauge_agent.sources.vsphere.session import Session

    made = Clock()
    asked = Session.now_ms

    def told(session: Session) -> int:
        asked(session)
        return made.time_ms

    monkeypatch.setattr(Session, "now_ms", told)
    monkeypatch.setattr("jauge_agent.sources.vsphere.source.CLOCKS_PART_MS", 10**9)
    return made


@pytest.fixture
async def start(tmp_path: Path, authority: Authority, clock: Clock) -> AsyncIterator[Start]:
    """Starts a vCenter; in the end nothing has left for it but what reads."""
    from jauge_agent.sources.vsphere.session import ALLOWED

    pair = authority.issue("vcenter")
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n", encoding="utf-8")
    password.chmod(0o600)
    grounds: list[Ground] = []
    with ExitStack() as relays:
        async with AsyncExitStack() as stack:

            async def begin(*flags: str, tls: bool = False) -> Ground:
                folder = tmp_path / f"vcsim-{len(grounds)}"
                keys = [pair.certificate, pair.key] if tls else []
                try:
                    vcsim = Vcsim(folder, *flags, pair=keys)
                except PartMissingError as missing:
                    if os.environ.get("CI"):  # there a skip would hide the tests
                        pytest.fail(str(missing))
                    pytest.skip(str(missing))
                await stack.enter_async_context(vcsim)
                relay = relays.enter_context(Relay(vcsim.port, pair.certificate, pair.key))
                grounds.append(Ground(vcsim, relay, authority, password, clock))
                return grounds[-1]

            yield begin
            for ground in grounds:
                for source in ground.sources:
                    await source.close()
                for administrator in ground.administrators:
                    dropped(administrator)
    asked = {method for ground in grounds for method in ground.relay.methods}
    assert asked <= ALLOWED


def values(outcome: Outcome) -> dict[tuple[int, str, str], float]:
    """What came with its own dates, each once."""
    found: dict[tuple[int, str, str], float] = {}
    for time_ms, samples in outcome.dated.items():
        for sample in samples:
            key = (time_ms, sample.resource, sample.quantity)
            assert key not in found, key
            found[key] = sample.value
    return found


def quantities(outcome: Outcome, resource: str) -> set[str]:
    """Quantities of a resource that came with dates."""
    return {quantity for _, name, quantity in values(outcome) if name == resource}


def latest(outcome: Outcome, quantity: str) -> dict[str, float]:
    """The last value of a quantity by resource."""
    found = sorted(values(outcome).items())
    return {resource: value for (_, resource, name), value in found if name == quantity}


def plain(outcome: Outcome, quantity: str) -> dict[str, float]:
    """Values of this tick by resource."""
    return {each.resource: each.value for each in outcome.samples if each.quantity == quantity}


def named(resources: Sequence[ResourceDescription], kind: str) -> dict[str, ResourceDescription]:
    """Descriptions of a kind by display name."""
    return {each.name: each for each in resources if each.id.startswith(f"{kind}:")}
