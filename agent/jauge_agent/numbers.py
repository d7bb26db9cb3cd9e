"""Sets of whole numbers that come nearly all in a row, such as those of the batches sent."""

from bisect import bisect_right


class Numbers:
    """Whole numbers, kept as the few ranges they make."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        """Both ends of each range are in; none touches another."""

    def add(self, number: int) -> None:
        """Put a number in; once more changes nothing."""
        at = bisect_right(self._first, number)
        if at and number <= self._last[at - 1]:
            return
        joins_before = at > 0 and self._last[at - 1] == number - 1
        joins_after = at < len(self._first) and self._first[at] == number + 1
        if joins_before and joins_after:
            self._last[at - 1] = self._last.pop(at)
            del self._first[at]
        elif joins_before:
            self._last[at - 1] = number
        elif joins_after:
            self._first[at] = number
        else:
            self._first.insert(at, number)
            self._last.insert(at, number)

    def covers(self, first: int, last: int) -> bool:
        """Whether every number from first to last, both in, is there."""
        at = bisect_right(self._first, first)
        return at > 0 and first <= last <= self._last[at - 1]
