"""How many file descriptors the process may have."""

import contextlib
import resource


def limit() -> int:
    """As many as it may have now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1_000_000


def raise_limit() -> None:
    """As many as the system lets it have: many systems start a process with fewer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
