"""What import-linter cannot see of the wall around models: built-ins and clock methods."""

import ast
from pathlib import Path

import jauge_models
import pytest

FORBIDDEN_NAMES = {"open", "input", "__import__", "exec", "eval"}
FORBIDDEN_METHODS = {"now", "utcnow", "today", "read_text", "read_bytes", "write_text"}
MODULES = sorted(Path(jauge_models.__file__).parent.rglob("*.py"))


def impure_calls(source: str) -> list[str]:
    """Calls that would open a file or ask the time, with their line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_NAMES:
            found.append(f"line {node.lineno}: {node.func.id}()")
        if isinstance(node.func, ast.Attribute) and node.func.attr in FORBIDDEN_METHODS:
            found.append(f"line {node.lineno}: .{node.func.attr}()")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_models_neither_open_files_nor_ask_the_time(module: Path) -> None:
    """No module of jauge_models calls open() or a clock."""
    assert impure_calls(module.read_text(encoding="utf-8")) == []


def test_the_purity_check_sees_an_impure_call() -> None:
    """The check itself finds a clock and an open file."""
    assert impure_calls("x = datetime.now(UTC)\nopen('f')") == [
        "line 1: .now()",
        "line 2: open()",
    ]
