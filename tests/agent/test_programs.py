"""Programs of others, with a shell in their place: what they are given, and that they end."""

import os
import time
from pathlib import Path

import pytest
from jauge_agent.programs import MOST_INPUT, Printed, found, run

SHELL = Path("/bin/sh")


async def printed(script: str, given: bytes = b"", *, deadline_s: float = 20.0) -> Printed:
    """What a shell prints; ten bytes of its output are kept, and five of its errors."""
    return await run(
        SHELL, ["-c", script], given, deadline_s=deadline_s, longest=10, longest_error=5
    )


def opened() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_is_given_comes_by_the_pipe_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, and then the end; of the agent's own environment nothing goes along."""
    monkeypatch.setenv("OF_THE_AGENT", "told")
    assert await printed("cat; exit 3", b"0123456789") == Printed(3, "0123456789", "")
    assert (await printed("cat")).out == ""
    assert (await printed("echo $OF_THE_AGENT")).out == "\n"
    most = await printed("wc -c", b"x" * MOST_INPUT)
    assert most.out.strip() == str(MOST_INPUT)
    with pytest.raises(ValueError, match="more than 4096 bytes for sh"):
        await printed("cat", b"x" * (MOST_INPUT + 1))


async def test_what_is_too_long_is_cut_and_it_is_said() -> None:
    """Read to its end all the same, so that the program ends; errors are cut and not judged."""
    assert await printed("printf 0123456789") == Printed(0, "0123456789", "")
    assert await printed("printf 0123456789a") == Printed(0, "0123456789", "", is_whole=False)
    told = await printed("head -c 300000 /dev/zero >&2; printf x")
    assert (told.status, told.out, len(told.err), told.is_whole) == (0, "x", 5, True)


async def test_it_is_ended_with_its_deadline(tmp_path: Path) -> None:
    """Also one that closes its outputs and goes on."""
    file = tmp_path / "pid"
    begun = time.monotonic()
    for script in ("exec sleep 60", "exec >&- 2>&-; exec sleep 60"):
        with pytest.raises(TimeoutError):
            await printed(f"echo $$ > {file}; {script}", deadline_s=0.5)
        assert time.monotonic() - begun < 40, "not by itself"
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


async def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As the system's error; nothing is left open."""
    before = opened()
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            await run(tmp_path / "none", [], deadline_s=1, longest=1, longest_error=1)
    assert opened() <= before + 2, "the event loop's own"
    assert found("no-such-program-at-all") is None
    assert found("sh") is not None
