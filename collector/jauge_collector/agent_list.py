"""Which agents a site knows: names, and names with ``*`` in them."""

from collections.abc import Iterable


class AgentList:
    """Names and patterns; ``name in agents`` takes time linear in the name for each pattern."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        self._names = frozenset(text for text in patterns if "*" not in text)
        self._patterns = tuple(tuple(text.split("*")) for text in patterns if "*" in text)

    def __contains__(self, name: str) -> bool:
        return name in self._names or any(_matches(name, parts) for parts in self._patterns)


def _matches(name: str, parts: tuple[str, ...]) -> bool:
    """Whether these parts stand in a name in this order, the first and the last at its ends."""
    first, *middle, last = parts
    end = len(name) - len(last)
    if not (name.startswith(first) and name.endswith(last)) or end < len(first):
        return False
    at = len(first)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
