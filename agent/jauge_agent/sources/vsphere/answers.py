"""What an answer to QueryPerf says, and what it leaves out.

A series has a list of values and its entity a list of times, in whatever order; they belong
together one by one. -1 is no value. Three cases of what is not there were found out by asking:

- no value at all: nobody knows whether the counter is empty or zero, so it is no value. A counter
  that is announced and never filled, as that of power on many hosts, looks so.
- as many values as times: each is what it says, 0 too.
- fewer: the encoder has left zeros out (VMware's own simulator does), and not told which. Those
  series are asked for again, one time each; where a time has no value then, it was a zero.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jauge_agent.sources.vsphere.counters import Known
from jauge_agent.sources.vsphere.query import Answered

Values = dict[int, float]
"""By time in ms since the Unix epoch."""


@dataclass(slots=True)
class Told:
    """What one host or guest has told."""

    times: tuple[int, ...] = ()
    """In ms since the Unix epoch, as they came."""
    values: dict[tuple[int, str], Values] = field(default_factory=dict)
    """By number of the counter and instance."""
    uneven: dict[tuple[int, str], int] = field(default_factory=dict)
    """Series with fewer values than times, and how many they had."""


def told(
    answer: Iterable[Answered], counters: Mapping[int, Known], failed: Counter[str]
) -> dict[str, Told]:
    """What each entity of an answer has told, by its key; senseless values go into ``failed``."""
    found: dict[str, Told] = {}
    for entity in answer:
        one = found[entity.key] = Told(tuple(entity.times))
        for number, instance, samples in entity.series:
            known = counters.get(number)
            if known is None or not samples:
                continue
            if len(samples) == len(entity.times):
                one.values[number, instance] = _values(known, one.times, samples, failed)
            elif len(samples) < len(entity.times):
                one.uneven[number, instance] = len(samples)
            else:
                failed["uneven"] += 1
    return found


def settle(one: Told, singles: Mapping[int, Told]) -> int:
    """Place the values of uneven series by answers for single times, 0 where there is none.

    ``singles`` holds an answer for each of the times. Gives the number of series for which these
    do not fit the first answer: they stay without values.
    """
    misfits = 0
    for key, number in one.uneven.items():
        values = {
            time_ms: value
            for time_ms, single in singles.items()
            if (value := single.values.get(key, {}).get(time_ms)) is not None
        }
        if len(values) != number or singles.keys() != set(one.times):
            misfits += 1
            continue
        one.values[key] = dict.fromkeys(one.times, 0.0) | values
    one.uneven.clear()
    return misfits


def _values(
    known: Known, times: Iterable[int], samples: Iterable[int], failed: Counter[str]
) -> Values:
    values: Values = {}
    for time_ms, sample in zip(times, samples, strict=True):
        value = known.value(sample)
        if value is not None:
            values[time_ms] = value
        elif sample >= 0:
            failed["range"] += 1
    return values
