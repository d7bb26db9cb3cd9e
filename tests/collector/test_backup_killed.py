"""A backup that is killed leaves no file that is not whole, nor its leavings for ever."""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from jauge_collector import backup
from jauge_collector.config import load
from jauge_collector.hidden_folder import hidden_folder
from jauge_models.configuration import ConfigurationError

from tests.collector.test_backup import Place
from tests.killed import finishes

STEPS = {"mkdir", "backup", "commit", "fchmod", "replace", "rename", "link", "rmdir"}


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """A collector's folder with a ledger."""
    home = tmp_path / "home"
    home.mkdir()
    return Place(home, capsys)


def _quiet(_phase: str, _done: int, _total: int) -> None:
    pass


def _back_up(place: Place, out: Path) -> None:
    backup.back_up(load(place.folder / "collector.toml"), out, 1, progress=_quiet)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_is_there_whole_or_not_at_all(place: Place, tmp_path: Path) -> None:
    """And the next one clears away what the killed one left."""
    left = 0
    for number in count():
        folder = tmp_path / f"to-{number}"
        folder.mkdir()
        out = folder / "b.tar"

        def work(begin: Callable[[], None], out: Path = out) -> None:
            begin()
            _back_up(place, out)

        done = finishes(work, STEPS, number)
        if out.exists():
            backup.restore(out, folder / "restored", 2, progress=_quiet)
            shutil.rmtree(folder / "restored")
        left += len(_names(folder)) - out.exists()
        if done:
            assert _names(folder) == ["b.tar"]
            break
        _back_up(place, folder / "next.tar")
        assert _names(folder) == (["b.tar", "next.tar"] if out.exists() else ["next.tar"])
    assert left > 3


@pytest.mark.parametrize("empty", [False, True])
def test_a_restored_folder_is_there_whole_or_not_at_all(
    place: Place, tmp_path: Path, empty: bool
) -> None:
    """An empty folder stays until the whole one takes its place; then it is tried again."""
    made = tmp_path / "b.tar"
    _back_up(place, made)
    whole = tmp_path / "whole"
    backup.restore(made, whole, 2, progress=_quiet)
    held = {path.relative_to(whole) for path in whole.rglob("*")}
    left = 0
    for number in count():
        folder = tmp_path / f"to-{number}"
        folder.mkdir()
        into = folder / "restored"
        if empty:
            into.mkdir()

        def work(begin: Callable[[], None], into: Path = into) -> None:
            begin()
            backup.restore(made, into, 2, progress=_quiet)

        done = finishes(work, STEPS, number)
        left += any(name.startswith(".") for name in _names(folder))
        if into.exists() and any(into.iterdir()):
            assert {path.relative_to(into) for path in into.rglob("*")} == held
            shutil.rmtree(into)
            assert not done or not _names(folder)
        else:
            assert not done
            assert into.exists() is empty
        if done:
            break
        backup.restore(made, into, 2, progress=_quiet)
        assert _names(folder) == ["restored"]
    assert left > 3


def test_two_backups_at_once_leave_each_other_alone(place: Place, tmp_path: Path) -> None:
    """A folder that somebody works in is not cleared away; a file that came meanwhile stays."""
    to = tmp_path / "to"
    to.mkdir()
    with hidden_folder(to, ".jauge-backup-") as other:
        (other / "half").write_text("a file", encoding="utf-8")
        _back_up(place, to / "a.tar")
        assert (other / "half").is_file()
    assert _names(to) == ["a.tar"]

    def meanwhile(phase: str, done: int, _total: int) -> None:
        if (phase, done) == ("files", 0):
            (to / "b.tar").write_text("another one's", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="is there already"):
        backup.back_up(load(place.folder / "collector.toml"), to / "b.tar", 1, progress=meanwhile)
    assert (to / "b.tar").read_text(encoding="utf-8") == "another one's"
    assert _names(to) == ["a.tar", "b.tar"]
