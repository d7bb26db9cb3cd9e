"""Files that are the old one or the new one, whatever happens."""

from pathlib import Path

import pytest
from jauge_agent.whole_files import write_whole


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    """Two names that differ in their endings alone do not meet."""
    for name in ("place.one", "place.two"):
        write_whole(tmp_path / name, b"old")
        write_whole(tmp_path / name, name.encode())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "place.one": b"place.one",
        "place.two": b"place.two",
    }


def test_what_cannot_be_ended_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the error is told, and what was begun is gone."""
    file = tmp_path / "place"
    write_whole(file, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"place": b"old"}
