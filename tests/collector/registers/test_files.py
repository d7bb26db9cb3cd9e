"""All registers of a site: read together, checked against each other, digested."""

import hashlib
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import jauge_collector.registers as package
import msgspec
import pytest
from jauge_collector.registers import (
    decisions,
    documents,
    facility,
    factors,
    practices,
    refrigerants,
    rooms,
    servers,
)
from jauge_collector.registers.files import NAMES, Registers, RegistersSection, load, stamp
from jauge_collector.registers.practices import Practice
from jauge_collector.registers.problems import RegisterError
from jauge_models.configuration import ConfigurationError, convert

from tests.collector.registers.sheets import Parse, file

SAMPLES = Path(package.__file__).parent / "samples"
LOGNES = Path(__file__).resolve().parents[3] / "examples" / "lognes"
PARSERS: dict[str, Parse] = {
    "servers": servers.parse,
    "rooms": rooms.parse,
    "practices": practices.parse,
    "documents": documents.parse,
    "factors": factors.parse,
    "refrigerants": refrigerants.parse,
    "exemptions": decisions.exemptions,
    "actions": decisions.actions,
    "facility": facility.parse,
}
SERVERS = "id;room;rack;ecodesign\nS1;A;R1;D-1\n"
DOCUMENTS = "id;title;file;kind;date\nD-1;t;d.pdf;ecodesign;2026-01-01\n"
Write = Callable[..., RegistersSection]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts registers into a folder, each by its name, and names them."""
    (tmp_path / "d.pdf").write_bytes(b"an example")

    def entered(**texts: str) -> RegistersSection:
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return RegistersSection(**dict(zip(texts, texts, strict=True)))

    return entered


def test_registers_are_read_with_their_digests(write: Write, tmp_path: Path) -> None:
    """What each says, and the SHA-256 of the file as it was read."""
    section = write(servers=SERVERS, documents=DOCUMENTS, policy='version = "1"')
    found = load(section, tmp_path, "paris")
    assert [server.id for server in found.servers] == ["S1"]
    assert found.documents[0].sha256 == hashlib.sha256(b"an example").hexdigest()
    assert found.policy is not None
    assert found.digests == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("servers", "documents", "policy")
    }


def test_a_site_without_registers_has_none(tmp_path: Path) -> None:
    """Nothing is read and nothing is wrong."""
    assert load(RegistersSection(), tmp_path) == Registers()


def test_what_is_wrong_in_all_of_them_is_told_at_once(write: Write, tmp_path: Path) -> None:
    """Each with its own file; also where one of them is not there."""
    section = write(servers="id;name\n;a\n;x\n", rooms="room;class\nA;A9\n")
    section = msgspec.structs.replace(section, factors="absent.csv")
    with pytest.raises(RegisterError) as caught:
        load(section, tmp_path)
    told = [(Path(one.file).name, one.line) for one in caught.value.problems]
    assert told == [("servers", 2), ("servers", 3), ("rooms", 2), ("absent.csv", 0)]
    assert caught.value.count == 4


@pytest.mark.parametrize("name", ["servers", "d.pdf"])
def test_what_is_no_file_is_not_waited_for(write: Write, tmp_path: Path, name: str) -> None:
    """A pipe in the place of a register or a document would be read until somebody writes."""
    section = write(servers=SERVERS, documents=DOCUMENTS)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(RegisterError, match="cannot be read: is no regular file"):
        load(section, tmp_path)


@pytest.mark.parametrize("text", ["version = 1", "x", 'version = "1"\nshare = 1'])
def test_a_policy_that_cannot_be_used(write: Write, tmp_path: Path, text: str) -> None:
    """The one line of configuration files."""
    with pytest.raises(ConfigurationError, match="policy"):
        load(write(policy=text), tmp_path)


def test_a_document_that_no_register_holds_is_refused(write: Write, tmp_path: Path) -> None:
    """It would prove nothing and nobody would know: line and column, and where to enter it."""
    with pytest.raises(RegisterError) as caught:
        load(write(servers=SERVERS.replace("D-1", "D-2"), documents=DOCUMENTS), tmp_path)
    (found,) = caught.value.problems
    assert (found.line, found.column) == (2, "ecodesign_document")
    with pytest.raises(RegisterError, match="name a register of documents in the site file"):
        load(write(servers=SERVERS), tmp_path)


def test_a_register_of_documents_that_is_broken_is_the_only_trouble(
    write: Write, tmp_path: Path
) -> None:
    """What refers to it is not called unknown on top."""
    with pytest.raises(RegisterError) as caught:
        load(write(servers=SERVERS, documents=DOCUMENTS.replace("d.pdf", "e.pdf")), tmp_path)
    assert [Path(one.file).name for one in caught.value.problems] == ["documents"]


def test_what_should_be_looked_at(write: Write, tmp_path: Path) -> None:
    """No error: a rack nobody has sensors for, a practice from memory, a policy not approved."""
    section = write(
        servers="id;site;room;rack\nS1;;A;R1\nS2;;A;R2\nS3;lyon;B;R9\n",
        rooms="room;rack\nA;R1\n",
        practices=(
            "edition;number;title;category;domain;certainty;page\n"
            "E;1;t;entire_data_centre;water;text;4\nE;2;t;entire_data_centre;water;;\n"
            "E;3;t;optional;water;;\n"
        ),
        policy='version = "1"\n[goal]\nedition = "E"\n',
        actions="subject;criterion;day;owner\nparis;S4;2026-09-01;o\nS1;V7;2026-09-01;o\n"
        "pairs;S4;2026-09-01;o\n",
    )
    notes = load(section, tmp_path, "paris").notes
    assert [(Path(note.file).name, note.line, note.column) for note in notes] == [
        ("servers", 3, "rack"),
        ("actions", 4, "subject"),
        ("practices", 3, "certainty"),
        ("policy", 0, "approvals"),
    ]
    assert [(note.key, note.values) for note in notes[:3]] == [
        ("rack_in_no_row", {"rack": "R2", "room": "A"}),
        ("subject_unknown", {"subject": "pairs"}),
        ("practice_from_memory", {"number": "2"}),
    ]
    assert (notes[3].values["given"], notes[3].values["wanted"]) == (0, 2)
    other = load(msgspec.structs.replace(section, policy=None), tmp_path, "paris").notes
    assert (other[-1].key, other[-1].values) == ("edition_without_practice", {"edition": ""})


def test_a_stamp_changes_with_a_register(write: Write, tmp_path: Path) -> None:
    """What is read again must have changed, come, or gone."""
    section = write(servers=SERVERS)
    first = stamp(section, tmp_path)
    assert stamp(section, tmp_path) == first
    (tmp_path / "servers").write_text(SERVERS + "S2;;;\n", encoding="utf-8")
    second = stamp(section, tmp_path)
    (tmp_path / "servers").unlink()
    assert len({first, second, stamp(section, tmp_path)}) == 3


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_samples_read(name: str) -> None:
    """As they are, and with the mark of their example rows taken away."""
    text = (SAMPLES / f"{name}.csv").read_text(encoding="utf-8")
    PARSERS[name](file(text))
    shown = re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)
    assert len(PARSERS[name](file(shown))) >= 1


def test_samples_are_of_every_register() -> None:
    """One for each file that a site may name."""
    assert {path.stem for path in SAMPLES.iterdir()} == set(NAMES)


def test_practices_from_memory_are_never_the_codes() -> None:
    """None of the shipped ones has a number to print, a page, or a status."""
    text = (SAMPLES / "practices.csv").read_text(encoding="utf-8")
    found: tuple[Practice, ...] = practices.parse(file(text))
    assert len(found) > 40
    assert not any(one.reference or one.page or one.status for one in found)


def test_figures_from_memory_are_never_used() -> None:
    """Of the shipped factors only those that were read somewhere are usable, each with a source."""
    text = (SAMPLES / "factors.csv").read_text(encoding="utf-8")
    found = factors.parse(file(text))
    assert all(one.source for one in found)
    assert {one.subject for one in found if not one.is_usable} == {
        "R-32",
        "R-134a",
        "R-410A",
        "R-513A",
    }


def test_the_example_reads_and_says_that_it_is_one() -> None:
    """Every register of the example site; each file says in its first line that it is no fact."""
    declared = tomllib.loads((LOGNES / "site.toml").read_text(encoding="utf-8"))
    section = convert(declared["registers"], RegistersSection, file="site.toml")
    assert None not in msgspec.structs.astuple(section)
    found = load(section, LOGNES, declared["site"]["name"])
    assert [server.id for server in found.servers] == ["EXEMPLE-1", "EXEMPLE-2", "EXEMPLE-3"]
    for path in LOGNES.rglob("*.*"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert "example" in first.lower() or "EXEMPLE" in first, path
