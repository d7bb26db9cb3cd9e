"""From a state on the broker to the grade of a row, through a collector that is restarted."""

import time
from pathlib import Path

import pytest
from jauge_collector import clock
from jauge_collector.service import Service
from jauge_models.intervals import Flag, Grade
from jauge_models.wire import Sample, State

from tests.collector.packs import pack
from tests.collector.running import WireAgent, collecting, configured
from tests.parts import Mosquitto, eventually

pytestmark = pytest.mark.end_to_end

QUARTER_MS = 15 * 60_000
BEHIND_MS = 45_000


@pytest.mark.parametrize("state_first", [True, False])
async def test_a_wrong_clock_grades_what_it_stamped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_first: bool
) -> None:
    """The readings are kept, whichever came first, and the fact outlives the process."""
    monkeypatch.setattr(clock, "GATHER_S", 0.0)
    now = time.time_ns() // 1_000_000 - BEHIND_MS
    start = now - now % QUARTER_MS - 2 * QUARTER_MS
    wrong_state = State("b1", online=True, sent_at=now / 1000)

    def flagged(service: Service) -> list[bool]:
        rows = service.state.ledger.rows("s", ["it"], start, start + 4 * QUARTER_MS)["it"]
        assert all((row.grade is Grade.LOW) == (Flag.CLOCK in row.flags) for row in rows)
        return [Flag.CLOCK in row.flags for row in rows if row.amount is not None]

    async with Mosquitto(tmp_path / "broker") as broker:
        path = configured(tmp_path, mqtt_port=broker.port)
        async with collecting(path) as service, WireAgent(broker.port) as agent:
            if state_first:
                await agent.describe(wrong_state)
            await agent.send(
                pack([Sample("host", "power", 100.0)], seq=seq + 1, time_ms=at)
                for seq, at in enumerate(range(start, now + 1, 60_000))
            )
            await agent.answered([1, 2, 3])
            if not state_first:
                await eventually(lambda: bool(flagged(service)), within=20, what="rows")
                assert not any(flagged(service))
                await agent.describe(wrong_state)
            await eventually(
                lambda: bool(flagged(service)) and all(flagged(service)),
                within=30,
                what="the last hour is graded low",
            )
        async with collecting(path) as service:
            assert all(flagged(service))
            (span,) = service.state.ledger.wrong_clocks("s")["a"]
            assert BEHIND_MS - 1000 < span.skew_ms < BEHIND_MS + 20_000
