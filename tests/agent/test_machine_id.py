"""Which machine a spool belongs to."""

from pathlib import Path

import pytest
from jauge_agent import agent
from jauge_agent.agent import machine_id


def test_the_id_of_the_system_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What machine-id(5) holds is taken as it is, and nothing is kept beside the spool."""
    system = tmp_path / "etc"
    system.write_text("0123abcd\n", encoding="ascii")
    monkeypatch.setattr(agent, "_MACHINE_ID_FILES", (tmp_path / "absent", system))
    spool = tmp_path / "spool"
    spool.mkdir()
    assert machine_id(spool) == "0123abcd"
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", "\u00e9\n"])
def test_a_machine_without_an_id_draws_one_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """Two machines that have none are told apart, and each is the same after a restart."""
    system = tmp_path / "etc"
    if text is not None:
        system.write_text(text, encoding="utf-8")
    monkeypatch.setattr(agent, "_MACHINE_ID_FILES", (system,))
    spools = [tmp_path / name for name in ("one", "two")]
    for spool in spools:
        spool.mkdir()
    first, second = (machine_id(spool) for spool in spools)
    assert len({first, second}) == 2
    assert [machine_id(spool) for spool in spools] == [first, second]
    (spools[0] / "machine-id").write_text("", encoding="ascii")
    assert machine_id(spools[0]) not in {"", first, second}
