"""What idle GPUs drew, worked by hand."""

import pytest
from jauge_models.capacity.idle_gpus import GpuHistory, IdleGpus, idle_gpus
from jauge_models.capacity.outcome import Figure, Figures

FIGURES = Figures(
    pue=Figure(value=1.5, source="an example"), price=Figure(value=0.2, source="an example")
)


def wasted(*history: GpuHistory, below: float = 0.05, figures: Figures = FIGURES) -> IdleGpus:
    """What these GPUs drew while idle."""
    return idle_gpus(history, below=below, figures=figures)


def gpu(
    activity: tuple[float | None, ...],
    watts: tuple[float | None, ...],
    held: tuple[bool | None, ...] = (),
    *,
    number: int = 0,
) -> GpuHistory:
    """Hours of one GPU."""
    return GpuHistory(node="n", gpu=number, activity=activity, watts=watts, held=held)


def test_idle_hours_count_below_the_threshold_only() -> None:
    """Two of four hours at 60 W: half of a year at 60 W."""
    found = wasted(gpu((0.0, 0.049, 0.05, 1.0), (50.0, 70.0, 90.0, 400.0)))
    assert (found.hours, found.idle_hours, found.unmeasured_hours) == (4, 2, 0)
    assert found.kwh == pytest.approx(0.12)
    assert found.kwh_year == pytest.approx(0.060 * 8766 / 2)
    assert found.euros_year == pytest.approx(0.060 * 8766 / 2 * 1.5 * 0.2)


def test_hours_not_known_are_not_idle_nor_without_power_free() -> None:
    """An hour without activity counts as none; one without watts at the mean of the others."""
    found = wasted(gpu((0.0, 0.0, None, 1.0), (60.0, None, 50.0, 400.0)))
    assert (found.hours, found.idle_hours, found.unmeasured_hours) == (3, 2, 1)
    assert found.kwh == pytest.approx(0.06)
    assert found.kwh_year == pytest.approx(0.060 * 8766 * 2 / 3)


def test_idle_without_any_watts_is_not_zero() -> None:
    """It is not known."""
    found = wasted(gpu((0.0, 0.0), (None, None)))
    assert (found.kwh, found.kwh_year, found.euros_year) == (None, None, None)
    assert found.unmeasured_hours == 2


def test_a_gpu_that_is_never_idle_wastes_nothing() -> None:
    """Zero is measured here."""
    found = wasted(gpu((1.0, 0.5), (400.0, None)))
    assert (found.kwh, found.kwh_year, found.worst) == (0.0, 0.0, ())


def test_who_held_it_while_idle_is_told_where_known() -> None:
    """One of two idle hours in which somebody is known to have had it or not."""
    held = wasted(gpu((0.0, 0.0, 0.0), (60.0,) * 3, (True, False, None))).worst[0]
    assert held.held_hours == 1
    assert wasted(gpu((0.0,), (60.0,))).worst[0].held_hours is None


def test_the_worst_come_first_and_no_more_than_twenty() -> None:
    """By kWh."""
    found = wasted(*(gpu((0.0,), (float(50 + at),), number=at) for at in range(30)))
    assert [one.gpu for one in found.worst] == list(range(29, 9, -1))
    assert found.gpus == 30


def test_no_price_no_euros() -> None:
    """Nor without a PUE."""
    assert wasted(gpu((0.0,), (60.0,)), figures=Figures()).euros_year is None
