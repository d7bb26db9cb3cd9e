"""The planner's answer as CSV: every table under its own heading, one after the other."""

from jauge_collector.capacity.sheet import Sheet
from jauge_collector.csv_text import written


def text(told: Sheet) -> str:
    """The whole file."""
    parts = [written([told.title, told.period, told.sentence], ())]
    for table in told.tables:
        parts.append(written([table.title, table.text], ()))
        parts.append(written([column.title for column in table.columns], table.rows))
    return "\r\n".join(parts)
