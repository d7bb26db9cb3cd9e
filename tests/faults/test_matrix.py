"""The short version of the matrix: its ten hardest rows, each of which must hold."""

import asyncio
import os
from collections.abc import Mapping

import pytest

from tests import parts
from tests.faults.matrix import Result, by_name, faults, run

JOBS = 6
"""Rows at a time: they mostly wait for ``settle``."""

ROWS = faults(short=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    """All rows, run at the same time."""
    try:
        parts.Mosquitto(tmp_path_factory.mktemp("broker"))
        parts.VictoriaMetrics(tmp_path_factory.mktemp("store"))
    except parts.PartMissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    return by_name(asyncio.run(run(ROWS, jobs=JOBS)))


def test_the_short_version_has_ten_rows_and_a_control() -> None:
    """Ten, among them one that must show doubles."""
    assert len(ROWS) == 10
    assert [row.name for row in ROWS if row.expect.doubled]


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_nothing_is_lost_and_nothing_twice(name: str, results: Mapping[str, Result]) -> None:
    """The row's account closes, with nothing lost or doubled but where it must show."""
    result = results[name]
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.breaches == ()
    assert result.account is not None
    assert result.account.taken > 0
