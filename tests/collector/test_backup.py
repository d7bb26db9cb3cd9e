"""A backup in one file: taken while the collector writes, and refused where it does not hold."""

import hashlib
import io
import json
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jauge_collector import backup, cli
from jauge_collector.config import load
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import START as NOTHING
from jauge_collector.ledger.verification import verify

SITE = """
[site]
name = "s"
time_zone = "UTC"
connections_file = "map.toml"
[registers]
documents = "documents.csv"
practices = "practices.csv"
[capacity]
plant = "plant.toml"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["gw/meter:it"]
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""
FILES = {
    "collector.toml": (
        'sites = ["sites/s.toml"]\nstate_dir = "state"\n'
        '[mqtt]\nusername = "c"\npassword_file = "secret.txt"\n'
    ),
    "secret.txt": "not for a backup",
    "sites/s.toml": SITE,
    "sites/map.toml": "",
    "sites/documents.csv": "id;title;file;kind;date\nD-1;t;proofs/d.pdf;other;2026-01-02\n",
    "sites/proofs/d.pdf": "a proof",
    "sites/practices.csv": "edition;number\n",
    "sites/plant.toml": "kinds = []\nnodes = []\n",
    "state/documents/" + "a" * 64: "an invoice",
    "state/documents/tmpx7": "half a document",
    "state/reports/s/2026-Q1-r1.json": "{}",
    "state/archive/s/2026-Q1-r1.ndjson.gz": "readings",
    "state/scenarios/s/tmp-week.toml": "days = 7\n",
    "state/scenarios/s/.half": "half a scenario",
    "state/readings.db": "the store's own",
}
HELD = {
    "state/ledger.db",
    "state/documents/" + "a" * 64,
    "state/reports/s/2026-Q1-r1.json",
    "state/archive/s/2026-Q1-r1.ndjson.gz",
    "state/scenarios/s/tmp-week.toml",
    "config/collector.toml",
    "config/sites/s.toml",
    "config/sites/plant.toml",
    "config/sites/map.toml",
    "config/sites/documents.csv",
    "config/sites/proofs/d.pdf",
    "config/sites/practices.csv",
}


class Place:
    """A collector's folder, and the command over it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.out = folder.parent / "backup.tar"
        self.into = folder.parent / "restored"
        self._capsys = capsys
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        with self.ledger() as ledger:
            self.enter(ledger, 0)

    def ledger(self, folder: Path | None = None) -> Ledger:
        """The ledger, or a restored one."""
        return Ledger((folder or self.folder) / "state" / "ledger.db")

    def enter(self, ledger: Ledger, number: int) -> None:
        """Something that people enter, and what comes with it in the same commit."""
        ledger.append(
            "s",
            "event",
            "it",
            start_ms=number,
            content={"event": "bypass"},
            now_ms=number,
            restates=[("it", number * 1000, number * 1000 + 1)],
        )

    def run(self, *words: str, code: int = 0) -> str:
        """The command; its stdout, or on failure its stderr."""
        self._capsys.readouterr()
        config = str(self.folder / "collector.toml")
        got = cli.main(["backup", *words, "--config", config])
        out, err = self._capsys.readouterr()
        assert got == code, err or out
        return str(err if code == 2 else out)

    def back_up(self, code: int = 0) -> dict[str, Any]:
        """One, as --json tells it."""
        made: dict[str, Any] = json.loads(self.run("--out", str(self.out), "--json", code=code))
        return made

    def restore(self, code: int = 0) -> str:
        """It comes back."""
        return self.run("--restore", str(self.out), "--into", str(self.into), code=code)

    def refused(self) -> str:
        """It does not, and nothing is left of the attempt."""
        before = sorted(self.folder.parent.iterdir())
        error = self.restore(code=2)
        assert sorted(self.folder.parent.iterdir()) == before
        assert error.count("\n") == 1
        return error


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """A collector's folder."""
    (tmp_path / "jauge").mkdir()
    return Place(tmp_path / "jauge", capsys)


def rewritten(place: Place, change: Callable[[str, bytes], bytes | None]) -> None:
    """The backup with its members changed, and a manifest that agrees."""
    with tarfile.open(place.out) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
        texts = [(m.name, f.read()) for m, f in members if f is not None]
    manifest = msgspec.json.decode(texts.pop()[1], type=backup.Manifest)
    with tarfile.open(place.out, "w") as tar:
        kept: dict[str, backup.Kept] = {}
        for name, text in texts:
            new = change(name, text)
            if new is not None:
                put(tar, name, new)
                kept[name] = backup.Kept(hashlib.sha256(new).hexdigest(), len(new))
        agreed = msgspec.structs.replace(manifest, files=kept)
        put(tar, backup.MANIFEST, msgspec.json.encode(agreed))


def put(tar: tarfile.TarFile, name: str, text: bytes) -> None:
    """One member."""
    info = tarfile.TarInfo(name)
    info.size = len(text)
    tar.addfile(info, io.BytesIO(text))


def test_a_backup_holds_what_proves_the_record_and_no_secret(place: Place) -> None:
    """Every file once, as it is; neither the password nor readings nor half a document."""
    made = place.back_up()
    assert set(made["files"]) == HELD
    assert made["left_out"] == []
    assert place.out.stat().st_mode & 0o777 == 0o600
    assert b"not for a backup" not in place.out.read_bytes()
    place.restore()
    for name in HELD - {"state/ledger.db"}:
        source = place.folder / name.removeprefix("config/")
        assert (place.into / name).read_bytes() == source.read_bytes()
    assert {str(p.relative_to(place.into)) for p in place.into.rglob("*") if p.is_file()} == HELD
    with place.ledger(place.into) as ledger:
        assert verify(ledger).head == made["head"] != NOTHING
        assert len(ledger.entries("s", "event")) == 1


def test_the_collector_writes_meanwhile(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits go on during the copy; it is the ledger of one moment, its chain whole."""
    with place.ledger() as ledger:
        for number in range(1, 400):
            place.enter(ledger, number)
    monkeypatch.setattr(backup, "_PAGES_AT_ONCE", 1)
    copying, written = threading.Event(), threading.Event()

    def write() -> None:
        assert copying.wait(10)
        with place.ledger() as ledger:
            for number in range(400, 440):
                place.enter(ledger, number)
        written.set()

    steps: list[tuple[int, int]] = []

    def tell(what: str, done: int, total: int) -> None:
        if what == "ledger":
            steps.append((done, total))
            copying.set()
            assert written.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    settings = load(place.folder / "collector.toml")
    manifest, _ = backup.back_up(settings, place.out, 1, progress=tell)
    writer.join()
    assert 0 < steps[0][0] < steps[0][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    place.restore()
    with place.ledger(place.into) as ledger:
        assert len(ledger.entries("s", "event")) == 400
        found = verify(ledger)
        assert (found.head, found.problems) == (manifest.head, ())
    with place.ledger() as ledger:
        assert len(ledger.entries("s", "event")) == 440


def test_what_came_after_the_backup_is_computed_anew(place: Place) -> None:
    """From what each agent had not brought by then, or from the backup on, up to the restore."""
    with place.ledger() as ledger:
        ledger.record({}, {("s", "late"): 5_000, ("s", "up-to-date"): 2**50}, 1)
    before_ms = time.time_ns() // 1_000_000
    made = place.back_up()
    place.restore()
    with place.ledger(place.into) as ledger:
        marks = {mark.name: mark for mark in ledger.marks("s", 2**60) if mark.scope == "agent"}
    assert marks["late"].start_ms == 5_000
    assert before_ms <= marks["up-to-date"].start_ms == made["made_ms"]
    assert {mark.end_ms for mark in marks.values()} == {max(m.end_ms for m in marks.values())}
    assert marks["late"].end_ms >= made["made_ms"]


def test_what_is_missing_is_told(place: Place) -> None:
    """A register that cannot be read, or is not there, stops no backup; the status says it."""
    (place.folder / "sites/practices.csv").unlink()
    (place.folder / "sites/documents.csv").write_text("nonsense\n", encoding="utf-8")
    made = place.back_up(code=1)
    assert len(made["left_out"]) == 2
    assert "config/sites/documents.csv" in made["files"]
    place.restore()


def test_nothing_is_overwritten(place: Place) -> None:
    """Neither a file that is there nor a folder that holds anything; an empty one is taken."""
    place.back_up()
    error = place.run("--out", str(place.out), code=2)
    assert "is there already; name another file" in error
    place.into.mkdir()
    (place.into / "x").touch()
    assert "is not empty; name a new folder" in place.refused()
    (place.into / "x").unlink()
    place.restore()
    assert "give both, or --out alone" in place.run("--out", "y", "--into", "z", code=2)


def changes() -> Iterator[Any]:
    """What may have happened to a backup, and what is said of it."""

    def flip(place: Place) -> None:
        content = bytearray(place.out.read_bytes())
        content[content.index(b"an invoice")] ^= 1
        place.out.write_bytes(content)

    def cut(place: Place) -> None:
        content = place.out.read_bytes()
        place.out.write_bytes(content[: content.index(backup.MANIFEST.encode())])

    def truncate(place: Place) -> None:
        place.out.write_bytes(place.out.read_bytes()[:2000])

    def lead_out(place: Place) -> None:
        with tarfile.open(place.out, "a") as tar:
            put(tar, "state/../../evil", b"x")

    def link(place: Place) -> None:
        info = tarfile.TarInfo("state/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        with tarfile.open(place.out, "a") as tar:
            tar.addfile(info)

    def unlisted(place: Place) -> None:
        with tarfile.open(place.out, "a") as tar:
            put(tar, "state/more", b"x")

    def no_ledger(place: Place) -> None:
        rewritten(place, lambda name, text: None if name.endswith(".db") else text)

    def tampered(place: Place) -> None:
        file = place.folder.parent / "tampered.db"

        def change(name: str, text: bytes) -> bytes:
            if not name.endswith(".db"):
                return text
            file.write_bytes(text)
            with sqlite3.connect(file) as connection:
                connection.execute("""UPDATE entries SET content = '{"event":"none"}'""")
            connection.close()
            return file.read_bytes()

        rewritten(place, change)

    def no_tar(place: Place) -> None:
        place.out.write_text("x" * 1000)

    yield pytest.param(flip, "is not what was kept", id="changed")
    yield pytest.param(cut, "its manifest is missing", id="cut")
    yield pytest.param(truncate, "backup.tar", id="truncated")
    yield pytest.param(lead_out, "holds 'state/../../evil'", id="leads-out")
    yield pytest.param(link, "holds 'state/link'", id="link")
    yield pytest.param(unlisted, "state/more is not what was kept", id="unlisted")
    yield pytest.param(no_ledger, "holds no ledger", id="no-ledger")
    yield pytest.param(tampered, "its ledger does not hold", id="tampered")
    yield pytest.param(no_tar, "is no whole backup", id="no-tar")


@pytest.mark.parametrize(("change", "problem"), list(changes()))
def test_a_backup_that_does_not_hold_is_refused(
    place: Place, change: Callable[[Place], None], problem: str
) -> None:
    """In one line, and nothing is left where it was to go."""
    place.back_up()
    change(place)
    assert problem in place.refused()
    assert not place.into.exists()
