"""The ledger's file: opened and brought up to date, transactions on it, who may compute rows."""

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from jauge_collector.ledger import schema
from jauge_collector.ledger.entries import adopt

_BUSY_TIMEOUT_MS: Final = 8_000
"""For one wait for another process's transaction: two of them still end within
`ingest.HANGS_AFTER_S`, so that a ledger that is locked is a failure and no hang."""


class LedgerError(Exception):
    """The ledger did not take or give what was asked."""


class LedgerLockedError(LedgerError):
    """Another process computes rows on this ledger."""


class Database:
    """One SQLite file. A context manager, or `close` it."""

    def __init__(self, path: Path) -> None:
        """Open, and create where absent. Raises LedgerError."""
        self._path = path
        self._engine: Engine = create_engine(f"sqlite:///{path}", pool_size=4)
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._writing() as connection:
                self._check_version(connection)
        except OSError as error:
            self.close()
            raise LedgerError(f"{path}: cannot be opened: {error.strerror}") from None
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the lock of who computes rows. Raises LedgerLockedError at once when taken."""
        lock = self._path.with_name(self._path.name + ".lock")
        with lock.open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LedgerLockedError(
                    f"{self._path}: another collector computes this ledger; stop it first"
                ) from None
            yield

    def transaction(self, *, writes: bool) -> AbstractContextManager[Connection]:
        """One transaction, for the ledger's other modules. Raises LedgerError."""
        return self._writing() if writes else self._reading()

    def _check_version(self, connection: Connection) -> None:
        schema.metadata.create_all(connection)
        known = connection.execute(
            select(schema.facts.c.value).where(schema.facts.c.name == "schema")
        ).scalar()
        if known is None:
            connection.execute(insert(schema.facts).values(name="schema", value=schema.VERSION))
        elif known > schema.VERSION:
            raise LedgerError(
                f"{self._path}: written by a newer version (schema {known}); upgrade the collector"
            )
        elif known < schema.VERSION:
            # Every table that came since is new, and stands by now; columns do not.
            if known < _CHAINED:
                _chain_entries(connection)
            facts = schema.facts
            connection.execute(
                update(facts).where(facts.c.name == "schema").values(value=schema.VERSION)
            )

    def _insert(self, table: Any) -> Any:
        """An insert that knows ``ON CONFLICT``: same words, one class per database."""
        dialects: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
        return dialects[self._engine.dialect.name](table)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(error) from None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with (
                self._engine.connect().execution_options(jauge_writes=True) as connection,
                connection.begin(),
            ):
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(error) from None

    def _failed(self, error: SQLAlchemyError) -> LedgerError:
        cause = str(getattr(error, "orig", None) or error)
        if any(words in cause for words in _NOT_WRITABLE):
            cause += (
                f"; {self._path.parent} and the ledger's files in it must be writable even to be "
                "read: run as the collector's user, or correct their owner"
            )
        return LedgerError(f"{self._path}: {cause}")


_CHAINED: Final = 5
"""From this version on, entries are linked into the chain."""


def _chain_entries(connection: Connection) -> None:
    salt = schema.entries.c.salt
    if salt.name not in {column["name"] for column in inspect(connection).get_columns("entries")}:
        kind = salt.type.compile(connection.dialect)
        connection.exec_driver_sql(
            f"ALTER TABLE entries ADD COLUMN {salt.name} {kind} NOT NULL DEFAULT ''"
        )
    adopt(connection)


_NOT_WRITABLE: Final = ("unable to open database file", "readonly database")


def _on_connect(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    """A writer takes its lock at once: one that read first could not wait for another."""
    writes = connection.get_execution_options().get("jauge_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
