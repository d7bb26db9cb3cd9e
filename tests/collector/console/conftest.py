"""One built yard for the tests of the record's pages; each works on a copy."""

from pathlib import Path

import pytest

from tests.collector.compliance.yard import build


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it was built, never changed."""
    folder = tmp_path_factory.mktemp("yard")
    build(folder)
    return folder
