"""Fixtures that every test may ask for."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import parts


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of one file on one worker; all of the faults, which share the network, on one too."""

    def _split_scope(self, nodeid: str) -> str:
        of_faults = nodeid.startswith("tests/faults/")
        return "tests/faults" if of_faults else super()._split_scope(nodeid)


_WAIT_LONGEST = ("tests/end_to_end/", "tests/faults/", "tests/demo/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for real programs begins first: begun last, it leaves the other workers idle."""
    items.sort(key=lambda item: not item.nodeid.startswith(_WAIT_LONGEST))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """How ``--dist loadfile`` shares out."""
    return _ByFile(config, log)


def _missing(reason: str) -> NoReturn:
    """Skip, but fail where CI promised to install it: there a skip would hide the tests."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[parts.Mosquitto]:
    """A running Mosquitto of this test alone."""
    try:
        broker = parts.Mosquitto(tmp_path / "mosquitto")
    except parts.PartMissingError as missing:
        _missing(str(missing))
    async with broker:
        yield broker


@pytest.fixture
async def victoria_metrics(tmp_path: Path) -> AsyncIterator[parts.VictoriaMetrics]:
    """A running, empty VictoriaMetrics of this test alone."""
    try:
        store = parts.VictoriaMetrics(tmp_path / "victoria-metrics")
    except parts.PartMissingError as missing:
        _missing(str(missing))
    async with store:
        yield store


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[parts.Alertmanager]:
    """A running Alertmanager of this test alone, with our inhibitions; it delivers nowhere."""
    # Here, because the agent's tests run where there are no dashboards.
    from jauge_dashboards.alerts import alertmanager as ours
    from jauge_dashboards.alerts.settings import Receiver, Settings

    folder = tmp_path / "alertmanager"
    settings = Settings(
        receivers=tuple(
            Receiver(name=one.name, webhook_url_file=str(folder / "none"))
            for one in Settings().receivers
        )
    )
    try:
        part = parts.Alertmanager(folder, folder / "alertmanager.yaml")
    except parts.PartMissingError as missing:
        _missing(str(missing))
    for name, text in {
        "alertmanager.yaml": ours.configuration(settings),
        ours.TEMPLATE_FILE: ours.templates(settings, "fr"),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    async with part:
        yield part


@pytest.fixture
def free_port() -> int:
    """A free TCP port on 127.0.0.1."""
    return parts.free_port()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public reference data that lies beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    return folder
