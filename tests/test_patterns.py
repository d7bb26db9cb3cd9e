"""Every regular expression of the programs takes time that grows with the text alone."""

import ast
import gc
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jauge_collector.importer.patterns import SlowPatternError, linear, refuse_slow

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("jauge_models", "jauge_agent", "jauge_collector", "jauge_demo")
FOLDERS = ("models", "agent", "collector", "deploy/demo")
CALLS = {"compile", "match", "fullmatch", "search", "sub", "split", "findall", "finditer"}


def _in_sources() -> Iterator[str]:
    """Patterns that stand as plain text in a call of re, or as a pattern of msgspec."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                texts = [word.value for word in node.keywords if word.arg == "pattern"]
                named = ast.unparse(node.func)
                if named.startswith("re.") and named[3:] in CALLS and node.args:
                    texts.append(node.args[0])
                for text in texts:
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield text.value


def _in_modules() -> Iterator[str]:
    """Patterns compiled from other texts, found where they lie: in the modules."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if module.name.endswith("__main__"):
                continue
            namespace = vars(importlib.import_module(module.name))
            places = [namespace, *(vars(v) for v in namespace.values() if isinstance(v, type))]
            for place in places:
                for value in list(place.values()):
                    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                        yield value.pattern


PATTERNS = sorted({*_in_sources(), *_in_modules()})


def test_there_are_patterns() -> None:
    """Else the test below would hold for nothing."""
    assert len(PATTERNS) > 15
    gc.collect()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_can_be_kept_busy(pattern: str) -> None:
    """Neither nested nor competing repetitions."""
    refuse_slow(re.compile(pattern))


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", r"^\s*\s+x", r".*.*x", r"(.*)=(.*)", r"a*(?:b?a*)*"],
)
def test_a_slow_one_is_refused(pattern: str) -> None:
    """Exponential and quadratic ones alike."""
    with pytest.raises(SlowPatternError):
        linear(pattern)


@pytest.mark.parametrize("pattern", [r"^Total\b", r"^\s*#", r"\d+;\d+", "(?:a|b)+", "[^=]*=[^=]*$"])
def test_an_ordinary_one_is_not(pattern: str) -> None:
    """What people write to skip a footer."""
    assert linear(pattern).pattern == pattern


def test_no_pattern_at_all() -> None:
    """Broken syntax is a ValueError too, with the pattern in it."""
    with pytest.raises(ValueError, match="no regular expression"):
        linear("(")
