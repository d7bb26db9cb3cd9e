"""The record of changes: added to, owner's alone, bounded, and shared by several processes."""

import multiprocessing
import stat
from pathlib import Path

from jauge_collector.access.audit import AuditLog, Change


def change(number: int, who: str = "ada") -> Change:
    """A change with a number."""
    return Change(
        time_ms=number, who=who, how="session", source="192.0.2.1", what="sign_in", detail="x" * 50
    )


def test_the_newest_come_first_over_several_files(tmp_path: Path) -> None:
    """A full file is set aside; of the older ones a fixed number stays; each is the owner's."""
    log = AuditLog(tmp_path / "state" / "audit.jsonl", largest=1000, older=3)
    for number in range(200):
        log.add(change(number))
    files = sorted(path for path in (tmp_path / "state").iterdir() if path.suffix != ".lock")
    assert [path.name for path in files] == [
        "audit.jsonl",
        "audit.jsonl.1",
        "audit.jsonl.2",
        "audit.jsonl.3",
    ]
    assert all(path.stat().st_size <= 1000 for path in files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert [one.time_ms for one in log.newest(5)] == [199, 198, 197, 196, 195]
    kept = [one.time_ms for one in log.newest(1000)]
    assert kept == list(range(199, 199 - len(kept), -1))
    assert len(kept) > 15


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A line cut by a full disk hides no other; a long name is cut; a line break is no new line."""
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    assert log.newest(10) == []
    log.add(change(1))
    with path.open("ab") as file:
        file.write(b'{"time_ms": 2, "wh\n')
    log.add(change(3, who="é\n" * 500))
    found = log.newest(10)
    assert [one.time_ms for one in found] == [3, 1]
    assert len(found[0].who) == 256
    assert len(path.read_bytes().splitlines()) == 3


def _write(path: str, first: int) -> None:
    log = AuditLog(Path(path), largest=4000, older=20)
    for number in range(first, first + 100):
        log.add(change(number))


def test_two_collectors_lose_no_line_of_each_other(tmp_path: Path) -> None:
    """Both write while files are set aside."""
    path = str(tmp_path / "audit.jsonl")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, first)) for first in (0, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    log = AuditLog(Path(path), largest=4000, older=20)
    assert sorted(one.time_ms for one in log.newest(1000)) == list(range(200))
