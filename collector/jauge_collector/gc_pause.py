"""The garbage collector held off while millions of readings and rows pass through memory.

None of them is part of a cycle, and looking through them again and again is a fifth of the work.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """No collection within; what was on before is on again after. May be nested."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
