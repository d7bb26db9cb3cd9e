"""An agent's clock on the pages: shown as a warning from two seconds, as bad from thirty."""

import re
from pathlib import Path

import pytest
from jauge_models.wire import State

from tests.collector.console.serving import PLANT, configuration, introduce, now_ms, serving


@pytest.mark.parametrize(
    ("skew_s", "chip"), [(-0.4, ""), (1.9, ""), (-3.0, "warn"), (3.0, "warn"), (45.0, "bad")]
)
async def test_the_skew_is_marked_where_it_matters(
    tmp_path: Path, skew_s: float, chip: str
) -> None:
    """On the overview and on the agent's page, in both languages, with how often it was set."""
    async with serving(configuration(tmp_path)) as console:
        introduce(console.state)
        now = now_ms()
        state = State(
            "b1", online=True, sent_at=now / 1000 - skew_s, clock_steps=2, last_step_s=-3600.0
        )
        console.state.inventory.stated(PLANT, state, now)
        for code, shown in (("fr", f"{skew_s:.1f}".replace(".", ",")), ("en", f"{skew_s:.1f}")):
            for page in ("/s", "/s/agent/plant"):
                _, _, text = await console.get(f"{page}?lang={code}")
                number = re.escape(shown.replace("-", "−"))
                (before,) = re.findall(rf"(.{{0,80}}){number}\xa0s", text)
                marks = re.findall(r"chip (warn|bad|good)", before)
                assert marks[-1:] == ([chip] if chip else []), (page, before)
            size = "−3\u202f600,0" if code == "fr" else "−3,600.0"
            assert f"{size} s" in (await console.get(f"/s/agent/plant?lang={code}"))[2]
