"""French and English: the same texts in both, each one used, and every reason translated."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from datetime import date
from importlib.resources import files
from itertools import chain
from pathlib import Path
from string import Formatter
from typing import Any

import jauge_collector.console
import pytest
from jauge_collector import kpis
from jauge_collector.attribution import NoPower
from jauge_collector.compliance.refusals import REFUSALS
from jauge_collector.console import overview
from jauge_collector.console.alertmanager import Trouble
from jauge_collector.console.hosting_views import Grouping
from jauge_collector.console.text import CODES, Language, choose, language
from jauge_collector.console.views import Presence
from jauge_collector.ledger.tickets import State
from jauge_models import effectiveness
from jauge_models.attribution import Certainty, IdlePolicy
from jauge_models.crosschecks import Gap, Kind, Outcome
from jauge_models.effectiveness import PeriodKind, Status
from jauge_models.guest_use import Reason
from jauge_models.intervals import Basis, Flag, Grade
from jauge_models.quantities import CATALOGUE
from jauge_models.rules import RuleStatus
from jauge_models.suspects import SuspectKind
from jauge_models.topology import Commodity, EventKind
from jauge_models.wire import Method

FRENCH, ENGLISH = language("fr"), language("en")
HOME = Path(jauge_collector.console.__file__).parent
FAMILIES: dict[str, Iterable[str]] = {
    "close": REFUSALS,
    "presence": Presence,
    "status": Status,
    "grade": Grade,
    "basis": Basis,
    "flag": Flag,
    "event": EventKind,
    "method": Method,
    "commodity": Commodity,
    "kind": PeriodKind,
    "rule": RuleStatus,
    "quantity": CATALOGUE,
    "name": overview.INDICATORS,
    "ticket_kind": Kind,
    "ticket_state": State,
    "outcome": Outcome,
    "gap": Gap,
    "suspect": SuspectKind,
    "certainty": Certainty,
    "idle_policy": IdlePolicy,
    "not_judged": Reason,
    "unpowered": NoPower,
    "alerts_trouble": Trouble,
    "by": Grouping,
    "rolled_by": Grouping,
    "no": Grouping,
}
"""Words that a page looks up by a value of the models: each value needs one."""


def test_both_languages_say_the_same_things() -> None:
    """Same keys, same holes to fill in, no text empty, and no French one left in English."""
    assert list(FRENCH.texts) == list(ENGLISH.texts)
    for key, text in FRENCH.texts.items():
        holes = [
            {name for _, name, _, _ in Formatter().parse(t) if name}
            for t in (text, ENGLISH.texts[key])
        ]
        assert holes[0] == holes[1], key
        assert text.strip(), key
        assert ENGLISH.texts[key].strip(), key
    assert [len(FRENCH("months").split()), len(ENGLISH("months").split())] == [12, 12]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_value_has_its_word(family: str) -> None:
    """A value that is added to the models without a word in both languages fails here."""
    for value in FAMILIES[family]:
        for words in (FRENCH, ENGLISH):
            assert words.has(f"{family}_{value}"), (words.code, family, value)


def literals() -> Iterator[str]:
    """Every text in the console's modules and templates; of one with holes, what is before."""
    for module in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                yield f"{ast.literal_eval(node.values[0])}…"
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for template in (HOME / "templates").iterdir():
        yield from re.findall(r"""L\(["'](\w+)["']""", template.read_text("utf-8"))


def test_every_text_is_used_and_every_used_text_exists() -> None:
    """No text without a place, and no place without a text."""
    said = set(literals())
    beginnings = tuple(text[:-1] for text in said if text.endswith("_…"))
    charts = {f"{chart}_text" for chart in said if f"{chart}_text" in FRENCH.texts}
    unused = [
        key
        for key in FRENCH.texts
        if key not in said and key not in charts and not key.startswith(beginnings)
    ]
    assert unused == []
    for module in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("language"):
                for key in node.args[:1]:
                    if isinstance(key, ast.Constant):
                        assert key.value in FRENCH.texts, (module.name, key.value)
    for template in (HOME / "templates").iterdir():
        for key in re.findall(r"""L\(["'](\w+)["']""", template.read_text("utf-8")):
            assert key in FRENCH.texts, (template.name, key)


def test_french_texts_are_set_as_french_is() -> None:
    """A narrow no-break space before double punctuation, curly apostrophes, closed guillemets."""
    for key, text in FRENCH.texts.items():
        assert not re.search(r"(?<!\u202f)[;!?»](?:\W|$)|(?<!\u202f):\s", text), key
        assert not re.search(r"«(?!\u202f)", text), key
        assert "'" not in text, key


def reasons() -> Iterator[str]:
    """Every reason that an indicator can be withheld for, out of the modules' own source.

    Whatever is assigned to, appended to or returned as a reason; its holes get a sample.
    """
    for module in (effectiveness, kpis):
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            found: list[ast.expr | None] = []
            match node:
                case ast.FunctionDef(name="_shortfall" | "_impossible" | "_emission_flaw"):
                    found = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
                case ast.keyword(arg="reason") | ast.Assign(targets=[ast.Name("reason")]):
                    found = [node.value]
                case ast.Call() if ast.unparse(node.func) == "late.append":
                    found = [*node.args]
            for expression in found:
                text = sample(expression)
                if text:
                    yield text


def sample(expression: ast.expr | None) -> str:
    """A text with its holes filled; empty for what is no text of its own."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return expression.value
    if isinstance(expression, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else filled(ast.unparse(part))
            for part in expression.values
        )
    return ""


def filled(hole: str) -> str:
    """What stands in a hole of a reason: a name, a date or a number."""
    if "!r" in hole:
        return "'x'"
    return "2026-01-02" if "isoformat" in hole else "7"


def test_every_reason_is_translated() -> None:
    """A reason that the models gain without a French wording fails here."""
    found = sorted(set(reasons()))
    assert len(found) >= 11
    for reason in found:
        french = FRENCH.reason(reason)
        english = ENGLISH.reason(reason)
        assert not english.startswith("not measured")
        assert french != english, reason
        for word in re.findall(r"[a-zé’]+", french):
            assert word not in {"the", "is", "of", "no", "not", "only", "below", "gap", "meter"}, (
                reason,
                french,
            )


def test_a_reason_reads_as_a_sentence_of_its_language() -> None:
    """Numbers, percent signs, dates, quotation marks and semicolons are the language's own."""
    reason = (
        "not measured: joint coverage 50.5 % is below 90.0 %; "
        "meter 'a1.5' counts only since 2026-01-02"
    )
    assert FRENCH.reason(reason) == (
        "la couverture conjointe, 50,5\u202f%, est inférieure à 90,0\u202f%\u202f; "
        "le compteur «\u202fa1.5\u202f» ne compte que depuis le 2\u00a0janv. 2026"
    )
    assert ENGLISH.reason(reason) == (
        "joint coverage 50.5% is below 90.0%; meter 'a1.5' counts only since 2\u00a0Jan 2026"
    )


def labels() -> Iterator[str]:
    """Every label that an indicator can have, out of the models' own source."""
    tree = ast.parse(inspect.getsource(effectiveness))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "_label":
            for part in ast.walk(node):
                if isinstance(part, ast.JoinedStr):
                    yield sample(part).replace("7", "PUE1")


def test_every_label_is_translated() -> None:
    """Only a standard's own name, PUE1 or iPUE1, is the same in both languages."""
    found = set(labels())
    assert len(found) >= 5
    for label in found:
        assert FRENCH.label(label) != label or re.fullmatch(r"[ip]?PUE\d", label), label
        assert "ratio" not in FRENCH.label(label)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (ENGLISH, ["1,234.5", "−1,234.5", "0.0", "99.9%", "100%", "0%", "1 Jan 2026"]),
        (
            FRENCH,
            [
                "1\u202f234,5",
                "−1\u202f234,5",
                "0,0",
                "99,9\u202f%",
                "100\u202f%",
                "0\u202f%",
                "1er janv. 2026",
            ],
        ),
    ],
)
def test_numbers_and_dates(words: Language, shown: list[str]) -> None:
    """Grouping, decimals, a true minus and no −0; a share is cut: only what is whole is 100 %."""
    told = [words.number(v, 1) for v in (1234.46, -1234.46, -0.01)]
    told += [words.percent(v) for v in (0.99999, 1.0, 0.0)]
    told.append(words.day(date(2026, 1, 1)).replace("\u00a0", " "))
    assert told == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0, "W", "0 W"),
        (61.5, "W", "61.5 W"),
        (171_234.0, "W", "171.2 kW"),
        (3.6e9, "J", "1 MWh"),
        (0.0005, "m3", "0.0005 m³"),
        (0.25, "m3", "250 L"),
        (9.05, "Cel", "9.05 °C"),
        (0.123, "/", "12.3%"),
        (-5.0, "Cel", "−5 °C"),
    ],
)
def test_quantities_use_the_multiple_that_reads_best(value: float, unit: str, shown: str) -> None:
    """A few digits, no zeros behind them, and the unit beside."""
    assert ENGLISH.quantity(value, unit).replace("\u00a0", " ") == shown


def test_running_totals_stand_as_on_a_dial() -> None:
    """In kWh and m³ with every digit before the point, so that a person can compare."""
    assert ENGLISH.total(3_855_120.7 * 3.6e6, "J") == "3,855,120.70\u00a0kWh"
    assert FRENCH.total(352.6512, "m3") == "352,651\u00a0m³"


@pytest.mark.parametrize(
    ("wanted", "accepts", "code"),
    [
        ("fr", "en", "fr"),
        ("xx", "en", "en"),
        (None, "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        (None, "de, en;q=0.2, fr;q=0.1", "en"),
        (None, "en;q=0, fr;q=0.1", "fr"),
        (None, "de", "en"),
        (None, "", "en"),
        (None, "en;q=x," * 500, "en"),
    ],
)
def test_the_language_of_an_answer(wanted: str | None, accepts: str, code: str) -> None:
    """What is asked for, else the browser's best, else the configured one."""
    assert choose(wanted, accepts, "en") == code


def test_the_locale_files_hold_both_languages_and_no_third() -> None:
    """One file a language."""
    folder: Any = files("jauge_collector.console").joinpath("locale")
    names = sorted(chain(entry.name for entry in folder.iterdir()))
    assert names == sorted(f"{code}.toml" for code in CODES)
