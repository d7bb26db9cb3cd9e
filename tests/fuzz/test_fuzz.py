"""Each target for a short while; `make fuzz` goes on for longer."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.targets import TARGETS

EXAMPLES = {
    "packs": 600,
    "documents": 600,
    "configuration": 200,
    "import": 150,
    "devices": 300,
    "pages": 150,
    "doors": 150,
}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_made_up_gets_through(name: str) -> None:
    """Refused as promised, or taken: never another error."""
    target = TARGETS[name]
    with target.opened() as run:

        @settings(
            max_examples=EXAMPLES[name],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(target.inputs)
        def trying(made: object) -> None:
            run(made)

        trying()
