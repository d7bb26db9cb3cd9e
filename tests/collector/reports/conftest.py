"""The yard, built once; each test works on a copy."""

from pathlib import Path

import pytest

from tests.collector.compliance.yard import Yard, build, copied


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it was built, never changed."""
    folder = tmp_path_factory.mktemp("yard")
    build(folder)
    return folder


@pytest.fixture
def yard(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Yard:
    """A copy of it."""
    return Yard(copied(built, tmp_path / "yard"), capsys)
