"""The progress bar: on a terminal only."""

import io

from jauge_collector.importer.progress import Bar


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_without_a_terminal() -> None:
    """A pipe or a file gets not one character."""
    stream = io.StringIO()
    bar = Bar(stream, {})
    bar("reading", 1, 2)
    bar.clear()
    assert stream.getvalue() == ""


def test_silent_on_a_dumb_terminal() -> None:
    """A terminal that cannot move its cursor gets no bar."""
    stream = _Terminal()
    Bar(stream, {"TERM": "dumb"})("reading", 1, 2)
    assert stream.getvalue() == ""


def test_drawn_in_place_without_colour() -> None:
    """Each phase is drawn over the last one, and the line is clean at the end."""
    stream = _Terminal()
    bar = Bar(stream, {"TERM": "xterm"})
    bar("reading", 1, 2)
    bar("writing", 2, 2)
    bar.clear()
    text = stream.getvalue()
    assert " 50 %" in text
    assert "100 %" in text
    assert text.endswith("\r\x1b[K")
    assert "\n" not in text
    assert "\x1b[3" not in text
