"""The sample files beside the package: made from the structs, whole, and usable as they are."""

import inspect
import re
from pathlib import Path

import jauge_collector
import msgspec
import pytest
from jauge_collector import cli, config, sites
from jauge_collector.config import CollectorConfig
from jauge_collector.document import SAMPLES
from jauge_collector.importer import mapping
from jauge_collector.importer.mapping import MappingFile
from jauge_collector.site_file import FactorSection, SiteFile
from jauge_models.configuration import parse
from jauge_models.samples import documents, keys

FOLDER = Path(jauge_collector.__file__).parent
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "collector": CollectorConfig,
    "site": SiteFile,
    "mapping": MappingFile,
}
KINDS = pytest.mark.parametrize("kind", STRUCTS)


def text_of(kind: str) -> str:
    """The committed sample."""
    return (FOLDER / f"{kind}.sample.toml").read_text(encoding="utf-8")


def keys_in(text: str) -> set[str]:
    """Every dotted key of a sample, behind a mark or not."""
    table, found = "", set()
    for line in text.splitlines():
        if header := re.fullmatch(r"#?\[+([\w.]+)\]+", line):
            table = f"{header[1]}."
        elif key := re.match(r"#?(\w+) =", line):
            found.add(table + key[1])
    return found


@KINDS
def test_a_sample_is_what_the_structs_give(kind: str) -> None:
    """The file in the package is not written by hand."""
    assert text_of(kind) == SAMPLES[kind]()


@KINDS
def test_a_sample_has_every_key_and_no_other(kind: str) -> None:
    """What a user may write stands there; what `load` fills in does not."""
    filled_in = {"source"} if kind == "collector" else set()
    assert keys_in(text_of(kind)) == set(keys(STRUCTS[kind])) - filled_in


@KINDS
def test_every_key_is_documented(kind: str) -> None:
    """No key stands without a comment above it."""
    before = ""
    for line in text_of(kind).splitlines():
        if re.match(r"#?\w+ =", line):
            assert before.startswith("# "), line
        before = line


@KINDS
def test_everything_behind_a_mark_is_valid_too(kind: str) -> None:
    """Without the marks of keys that have a value, and of sections, the file still reads."""
    lines = [
        line.removeprefix("#") if re.match(r"#(\[|\w+ =)", line) else line
        for line in text_of(kind).splitlines()
        if not re.fullmatch(r"#\w+ =", line)
    ]
    parse("\n".join(lines), STRUCTS[kind], file=kind)


def test_the_samples_load() -> None:
    """As they are: the collector's, which names the site's, and the mapping for that site."""
    settings = config.load(FOLDER / "collector.sample.toml")
    assert settings == msgspec.structs.replace(
        CollectorConfig(sites=[Path("site.sample.toml")]), source=settings.source
    )
    site = sites.load(FOLDER / "site.sample.toml")
    mapped = mapping.load(FOLDER / "mapping.sample.toml")
    assert mapped.site == site.name == "paris-1"


def test_the_command_accepts_the_samples(capsys: pytest.CaptureFixture[str]) -> None:
    """`check` finds nothing to complain about."""
    assert cli.main(["check", "--config", str(FOLDER / "collector.sample.toml")]) == 0
    assert "fine" in capsys.readouterr().out


def test_documentation_is_that_of_the_fields() -> None:
    """Docstrings under fields, those of bases included, in one line and without reST marks."""
    told = documents(FactorSection, inspect.getsource)
    assert told["value"] == "What raw values are multiplied by."
    assert told["valid_to"] == "End, excluded; open where absent."
