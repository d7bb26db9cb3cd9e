"""Saved scenarios: whole or not at all, never over another unasked, no way out of their folder."""

import threading
from pathlib import Path

import pytest
from jauge_collector.capacity.scenarios import (
    LARGEST,
    MOST,
    Scenarios,
    TakenError,
    name_of,
    usable,
)
from jauge_models.configuration import ConfigurationError

TRICKS = ("", ".", "..", ".hidden", "../s/a", "a/b", "a\\b", "/etc/passwd", "a\0", "é", "a" * 65)


def test_what_is_saved_is_listed_read_and_deleted(tmp_path: Path) -> None:
    """Of its own site alone; nothing else in the folder is a scenario."""
    saved = Scenarios(tmp_path)
    assert saved.listed("s") == []
    saved.save("s", "year", "days = 1\n")
    (tmp_path / "s" / "notes.txt").write_text("no", encoding="utf-8")
    assert [one.name for one in saved.listed("s")] == ["year"]
    assert saved.listed("t") == []
    found = saved.read("s", "year")
    assert found.text == "days = 1\n"
    with pytest.raises(KeyError):
        saved.read("t", "year")
    saved.delete("s", "year", found.digest)
    assert saved.listed("s") == []
    with pytest.raises(KeyError):
        saved.delete("s", "year", found.digest)


def test_nothing_is_saved_over_another_unasked(tmp_path: Path) -> None:
    """Only over what was seen; the same text again changes nothing."""
    saved = Scenarios(tmp_path)
    saved.save("s", "a", "one")
    first = saved.read("s", "a").digest
    with pytest.raises(TakenError):
        saved.save("s", "a", "two")
    saved.save("s", "a", "one")
    saved.save("s", "a", "two", over=first)
    with pytest.raises(TakenError):
        saved.save("s", "a", "three", over=first)
    with pytest.raises(TakenError):
        saved.delete("s", "a", first)
    assert saved.read("s", "a").text == "two"


def test_of_two_at_once_one_is_told(tmp_path: Path) -> None:
    """Each of many threads saves another text under the same name: one text stands, whole."""
    saved, told = Scenarios(tmp_path), []

    def save(number: int) -> None:
        try:
            saved.save("s", "a", f"{number}\n" * 1000)
        except TakenError:
            told.append(number)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 7
    assert len(set(saved.read("s", "a").text.split())) == 1


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """Not saved, not read, not deleted; nothing is written anywhere."""
    saved = Scenarios(tmp_path / "scenarios")
    assert not usable(name)
    with pytest.raises(ConfigurationError):
        saved.save("s", name, "x")
    with pytest.raises(KeyError):
        saved.read("s", name)
    with pytest.raises(KeyError):
        saved.delete("s", name, "")
    assert list(tmp_path.rglob("*")) == []


def test_too_large_or_one_too_many_is_refused(tmp_path: Path) -> None:
    """By a line that names it; what is there may still be changed."""
    saved = Scenarios(tmp_path)
    with pytest.raises(ConfigurationError, match=r"big: is longer than 64 KiB"):
        saved.save("s", "big", "é" * (LARGEST // 2 + 1))
    for number in range(MOST):
        saved.save("s", f"n{number}", str(number))
    with pytest.raises(ConfigurationError, match="more than 200"):
        saved.save("s", "more", "x")
    saved.save("s", "n0", "changed", over=saved.read("s", "n0").digest)
    assert len(saved.listed("s")) == MOST


def test_a_file_that_is_none_of_ours_is_refused_in_a_line(tmp_path: Path) -> None:
    """Somebody put it there: too large, or no text."""
    saved = Scenarios(tmp_path)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "large.toml").write_bytes(b"#" * (LARGEST + 1))
    (tmp_path / "s" / "latin.toml").write_bytes(b"\xe9")
    for name, problem in (("large", "longer"), ("latin", "UTF-8")):
        with pytest.raises(ConfigurationError, match=problem):
            saved.read("s", name)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("School year, 600 pupils", "School-year-600-pupils"),
        ("week.toml", "week"),
        ("../../etc/passwd", "etc-passwd"),
        ("été", "t"),
        ("é", ""),
        ("x" * 80, "x" * 64),
    ],
)
def test_a_name_is_made_of_a_title(title: str, name: str) -> None:
    """One that may be saved under, or none."""
    assert name_of(title) == name
    assert usable(name) or not name
