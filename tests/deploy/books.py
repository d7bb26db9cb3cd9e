"""What became of every reading of an agent on a real host: taken there, and found in the store.

A journal inside the agent's own spool, kept by a trigger in the transaction that takes a batch, is
one witness; the store's raw points are the other.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

from tests.deploy.ground import SITE, Ground
from tests.deploy.hosts import Host, until

SETTLED_WITHIN_S: Final = 180.0
"""The collector's answer comes ``settle_s`` after a reading; what waited for longer comes first."""
_SPOOL: Final = "/var/lib/jauge-agent/spool.sqlite"
_KEEP: Final = f"""
import sqlite3
with sqlite3.connect("{_SPOOL}") as spool:
    spool.executescript('''
        CREATE TABLE IF NOT EXISTS journal
            (seq INTEGER PRIMARY KEY, time_ms INTEGER, readings INTEGER);
        CREATE TRIGGER IF NOT EXISTS journalled AFTER INSERT ON batch BEGIN
            INSERT INTO journal VALUES (new.seq, new.time_ms, new.readings);
        END;
    ''')
"""
_READ: Final = f"""
import json, sqlite3
spool = sqlite3.connect("file:{_SPOOL}?mode=ro", uri=True)
print(json.dumps({{
    "journal": spool.execute("SELECT time_ms, readings FROM journal").fetchall(),
    "waiting": spool.execute("SELECT time_ms, readings FROM batch").fetchall(),
    "given_up": spool.execute(
        "SELECT coalesce(sum(readings), 0) FROM account WHERE outcome IN ('dropped', 'refused')"
    ).fetchone()[0],
}}))
"""


class Books(NamedTuple):
    """An agent's readings since its journal was begun."""

    taken: int
    stored: int
    """Points of the store at ticks of the journal."""
    waiting: int
    """In the spool, without an answer; the store may have them."""
    lost: int
    """Of ticks that were answered, and not in the store."""
    doubled: int
    """Points of the store beyond one for each reading."""
    unknown: int
    """Points of the store at ticks that nobody took."""
    given_up: int
    """Dropped by the agent or refused by the collector."""

    @property
    def balanced(self) -> bool:
        """Whether every reading is accounted for, once."""
        return self.taken > 0 and not (self.lost or self.doubled or self.unknown or self.given_up)


def keep_journal(host: Host) -> None:
    """Have a host's agent note what it takes from now on."""
    host.run("systemctl", "stop", "jauge-agent")
    host.run("python3", "-c", _KEEP)
    host.run("systemctl", "start", "jauge-agent")


def settled(ground: Ground, *names: str) -> None:
    """Wait until nothing that was taken before this moment waits for its answer."""
    now = time.time()

    def answered(name: str) -> bool:
        try:
            samples = ground.agent(name)
        except AssertionError:
            return False
        oldest = samples.get("jauge_agent_spool_oldest_timestamp_seconds")
        return samples.get("jauge_agent_connected") == 1 and (oldest is None or oldest > now)

    for name in names:
        until(
            lambda name=name: answered(name),  # type: ignore[misc]  # mypy cannot type the default
            within=SETTLED_WITHIN_S,
            what=f"all of {name} is answered",
        )


def balance(ground: Ground, name: str, *names: str) -> Books:
    """The books of a host's agent, which is stopped meanwhile.

    ``names`` are those under which it has spoken, its host's if it has always had that one.
    """
    host = ground.hosts[name]
    host.run("systemctl", "stop", "jauge-agent")
    try:
        said = json.loads(host.run("python3", "-c", _READ))
    finally:
        host.run("systemctl", "start", "jauge-agent")
    taken = _by_time(said["journal"])
    waiting = _by_time(said["waiting"])
    # No further: the agent, which runs again, has gone on.
    spoken = names or (name,)
    points, distinct = _stored(ground, spoken, min(taken, default=0), max(taken, default=0))
    return Books(
        taken=taken.total(),
        stored=sum(points[tick] for tick in taken),
        waiting=waiting.total(),
        lost=sum(max(0, taken[tick] - distinct[tick]) for tick in taken if tick not in waiting),
        doubled=(points - distinct).total(),
        unknown=sum(count for tick, count in points.items() if count > taken[tick]),
        given_up=said["given_up"],
    )


def _stored(
    ground: Ground, names: Sequence[str], start_ms: int, end_ms: int
) -> tuple[Counter[int], Counter[int]]:
    """Points of an agent's series by time, all and those of one series counted once."""
    ground.ask_store("/internal/force_flush")
    # What is scraped has a job, and what vmalert writes of alerts has no kind.
    match = f'{{site="{SITE}",agent=~"{"|".join(names)}",job="",kind!=""}}'
    query = urlencode({"match[]": match, "start": start_ms / 1000, "end": end_ms / 1000})
    points: Counter[int] = Counter()
    distinct: Counter[int] = Counter()
    seen: dict[str, set[int]] = {}
    for line in ground.ask_store(f"/api/v1/export?{query}").splitlines():
        block = json.loads(line)
        known = seen.setdefault(json.dumps(block["metric"], sort_keys=True), set())
        points.update(block["timestamps"])
        distinct.update(set(block["timestamps"]) - known)
        known.update(block["timestamps"])
    return points, distinct


def _by_time(rows: list[list[int]]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for time_ms, readings in rows:
        counts[time_ms] += readings
    return counts
