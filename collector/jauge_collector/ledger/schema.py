"""Tables of the ledger's database. Every ``…_ms`` is milliseconds since the Unix epoch, UTC.

Plain SQL types only, so that PostgreSQL can follow SQLite.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

VERSION: Final = 6
"""Rises with every change of the tables; a newer ledger than the program knows is not opened.

An older one is brought up to date: 2 added ``clocks`` and ``purge_requests``, 3 ``tickets`` and
``standings``, 4 ``shares``, ``unshared`` and ``descriptions``, 5 ``chain``, ``closings``,
``proposals`` and the salt of ``entries``, 6 ``sensor_hours``. A new table is made where it is
missing; a change of an existing one needs statements of its own in `database`.
"""

metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)

subjects = Table(
    "subjects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("commodity", Text, nullable=False),
    UniqueConstraint("site", "name"),
)
"""What has rows: a meter, a host of the site file, or ``<agent>/<resource>``."""


def _row_columns(*, every_revision: bool) -> list[Column[object]]:
    return [
        Column("subject", ForeignKey("subjects.id"), primary_key=True),
        Column("start_ms", BigInteger, primary_key=True),
        Column("revision", Integer, primary_key=every_revision, nullable=False),
        Column("end_ms", BigInteger, nullable=False),
        Column("amount", Double),
        Column("covered_ms", BigInteger, nullable=False),
        Column("profile_ms", BigInteger, nullable=False),
        Column("basis", Text, nullable=False),
        Column("grade", Text, nullable=False),
        Column("opening_ms", BigInteger),
        Column("opening", Double),
        Column("closing_ms", BigInteger),
        Column("closing", Double),
        Column("flags", Text, nullable=False),
        Column("feed", Text, nullable=False),
        Column("final", Boolean, nullable=False),
        Column("computed_ms", BigInteger, nullable=False),
    ]


intervals = Table(
    "intervals",
    metadata,
    *_row_columns(every_revision=False),
    sqlite_with_rowid=False,
)
"""Current revision of every row; amounts in the base unit of the commodity (J or m3)."""

Index(
    "provisional",
    intervals.c.subject,
    sqlite_where=~intervals.c.final,
    postgresql_where=~intervals.c.final,
)

revisions = Table(
    "revisions",
    metadata,
    *_row_columns(every_revision=True),
    Column("replaced_ms", BigInteger, nullable=False),
)
"""Final rows that were restated later, as they stood."""

shares = Table(
    "shares",
    metadata,
    Column("host", ForeignKey("subjects.id"), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("guest", ForeignKey("subjects.id"), primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
    Column("idle", Double, nullable=False),
    Column("dynamic", Double, nullable=False),
    Column("gpu", Double, nullable=False),
    Column("covered_ms", BigInteger, nullable=False),
    Column("certainty", Text, nullable=False),
    Column("busy", Double),
    Column("busy_peak", Double),
    Column("processors", Double),
    Column("memory_used_peak", Double),
    Column("memory_size", Double),
    Column("final", Boolean, nullable=False),
    Column("reconciliation", Double),
    Column("doubts", Text),
    sqlite_with_rowid=False,
)
"""How each row of a host is shared out, in J; its own part names the host itself as the guest.

Only that says how far the hypervisor's counters agree, and which counters do not (``doubts``).
"""

Index("shares_of_guest", shares.c.guest, shares.c.start_ms)

unshared = Table(
    "unshared",
    metadata,
    Column("site", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Hours of hosts that are still to be shared out anew: what a pass had no time for."""

descriptions = Table(
    "descriptions",
    metadata,
    Column("site", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("labels", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What births said of hosts, guests and GPUs, each from when on; ``labels`` is JSON."""

marks = Table(
    "marks",
    metadata,
    Column("site", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What must be recomputed: ``scope`` is ``agent`` or ``meter``; ``end_ms`` 0 is open."""

agents = Table(
    "agents",
    metadata,
    Column("site", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("oldest_ms", BigInteger, nullable=False),
)
"""``bfrom`` of each agent: all its batches before that moment are stored."""

clocks = Table(
    "clocks",
    metadata,
    Column("site", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),
    Column("to_ms", BigInteger, nullable=False),
    Column("skew_ms", BigInteger, nullable=False),
)
"""Spans of each agent's own time stamps that a wrong clock gave, none touching another."""

methods = Table(
    "methods",
    metadata,
    Column("site", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("quantity", Text, primary_key=True),
    Column("method", Text, nullable=False),
)
"""How an agent's birth says that each quantity is obtained."""

declared = Table(
    "declared",
    metadata,
    Column("site", Text, primary_key=True),
    Column("meter", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
)
"""The site file's declaration of each meter that its rows were computed with."""

jumps = Table(
    "jumps",
    metadata,
    Column("subject", ForeignKey("subjects.id"), primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("before_ms", BigInteger, nullable=False),
)
"""Undeclared index jumps: the reading that jumped and the last one believed."""

purge_requests = Table(
    "purge_requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asked_ms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("outcome", Text),
)
"""Purges asked for while another process computes rows; it does them and leaves the outcome."""

tickets = Table(
    "tickets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("check", Text, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("resolved_ms", BigInteger),
    Column("evidence", Text, nullable=False),
    Column("acknowledged_ms", BigInteger),
    Column("acknowledged_by", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    UniqueConstraint("site", "kind", "check", "opened_ms"),
    sqlite_autoincrement=True,
)
"""What cross-checks found, as rows tell it; that a person has seen it is theirs and stays."""

standings = Table(
    "standings",
    metadata,
    Column("site", Text, primary_key=True),
    Column("judged_to_ms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
)
"""How the checks of a site stood when they were last worked out."""

entries = Table(
    "entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger),
    Column("content", Text, nullable=False),
    Column("signatory", Text, nullable=False),
    Column("document", Text),
    Column("corrects", ForeignKey("entries.id"), unique=True),
    Column("entered_ms", BigInteger, nullable=False),
    Column("salt", Text, nullable=False, server_default=""),
    Index("entries_of", "site", "kind", "subject", "start_ms"),
    sqlite_autoincrement=True,
)
"""Everything people enter, only ever added to; ``corrects`` names the entry it replaces.

``salt`` is random: it keeps the digest in ``chain`` from telling what a row said that is erased.
"""

chain = Table(
    "chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("previous", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Index("links_of", "site", "kind", "subject"),
)
"""Links of the hash chain, only ever added to; ``content`` is JSON. See `chain`."""

closings = Table(
    "closings",
    metadata,
    Column("site", Text, primary_key=True),
    Column("quarter", Text, primary_key=True),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Quarters that were ever closed, each with its time: rows of site meters there stay."""

proposals = Table(
    "proposals",
    metadata,
    Column("subject", ForeignKey("subjects.id"), primary_key=True),
    Column("by_hand", Boolean, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
    Column("stands", Boolean, nullable=False),
    Column("amount", Double),
    Column("new", Text),
    Column("reason", Text, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What a pass would have made of closed rows: ``new`` is a row's content as JSON, or none.

``stands`` tells whether there is a row now, and ``amount`` is its amount.
"""

sensor_hours = Table(
    "sensor_hours",
    metadata,
    Column("site", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("quantity", Text, primary_key=True),
    Column("gap_ms", BigInteger, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("token", Text),
    Column("content", Text),
)
"""Hourly means of sensors by blocks of time, as readings gave them; see `kept_hours`.

While a block is worked out it has the ``token`` of who claimed it and no ``content``.
"""
