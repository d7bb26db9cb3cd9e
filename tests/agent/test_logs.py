"""Logs: one line per event, in the form asked for, a loss said once."""

import io
import json
import logging
import os
from pathlib import Path
from typing import Literal

import pytest
from jauge_agent.logs import Trouble, configure, say


def said(form: Literal["logfmt", "json"], **fields: object) -> str:
    """One line as it is written."""
    stream = io.StringIO()
    say(configure("info", form, stream), logging.WARNING, "source lost", **fields)
    return stream.getvalue()


def test_logfmt_quotes_what_needs_it() -> None:
    """Values with spaces, quotes or line ends stay one word on one line."""
    line = said("logfmt", source="bmc", detail='no "answer"\nat all', empty="")
    assert line.count("\n") == 1
    assert line.endswith(
        'level=warning event="source lost" source=bmc detail="no \\"answer\\"\\nat all" empty=""\n'
    )
    assert line.startswith("time=20")


def test_json_is_one_object_per_line() -> None:
    """Numbers stay numbers; what JSON does not know becomes text."""
    record = json.loads(said("json", failures=3, file=Path("/x")))
    assert (record["event"], record["failures"], record["file"]) == ("source lost", 3, "/x")


def test_the_level_is_kept() -> None:
    """What is less severe than asked for is not said."""
    stream = io.StringIO()
    say(configure("warning", "logfmt", stream), logging.INFO, "connected")
    assert stream.getvalue() == ""


def test_the_journal_gets_priorities_and_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines to the journal begin with their sd-daemon priority."""
    path = tmp_path / "journal"
    with path.open("w+") as stream:
        about = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
        logger = configure("info", "logfmt", stream)
        say(logger, logging.ERROR, "a")
        say(logger, logging.INFO, "b")
    assert path.read_text() == "<3>level=error event=a\n<6>level=info event=b\n"


def test_trouble_is_said_once_on_loss_and_once_on_recovery() -> None:
    """However often it fails in between; the recovery tells how often."""
    stream = io.StringIO()
    trouble = Trouble(configure("info", "json", stream), "broker", host="h")
    trouble.recovered()
    for _ in range(2):
        for number in range(5):
            trouble.lost(f"try {number}")
        assert trouble.lasting
        trouble.recovered()
        assert not trouble.lasting
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["broker lost", "broker recovered"] * 2
    assert lines[0]["detail"] == "try 0"
    assert lines[1]["failures"] == 5
