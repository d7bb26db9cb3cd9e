"""One round: a look at what there is, what is new of each, and slices of what was missed.

Everything blocks, and runs on the thread of its vCenter. A round changes nothing that lasts but the
totals: `Round` holds the new places, which count once its samples have been handed over, so that
nothing is lost when nobody waits for a round any more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.wire import Sample

from jauge_agent.sources.vsphere import places as standing
from jauge_agent.sources.vsphere.answers import Told, Values, settle, told
from jauge_agent.sources.vsphere.counters import EACH, WHOLE, Known, Shape
from jauge_agent.sources.vsphere.failures import FaultError
from jauge_agent.sources.vsphere.gpus import gpu_resource
from jauge_agent.sources.vsphere.inventory import key_of
from jauge_agent.sources.vsphere.places import Place, Places, Window
from jauge_agent.sources.vsphere.query import Answered, Metrics, Question
from jauge_agent.sources.vsphere.session import Session
from jauge_agent.sources.vsphere.subjects import Subject
from jauge_agent.sources.vsphere.totals import STEP_MS, Totals

LIVE_MS: Final = 180_000
"""How much is asked for as new at least: hosts hand in their samples late."""
LEAST_BEHIND, MOST_BEHIND = 60_000, 300_000
"""Bounds on the samples of the past that one round asks for; 300 000 take some 30 MB, and three
seconds of a processor."""
PACE: Final = 2
"""Between them, the past is made good so many times as fast as time passes: the vCenter forgets the
oldest of it meanwhile, and a collector that takes in what is new takes in no more than thrice it.
"""
MOST_SINGLES: Final = 1_000
"""Single samples that one round asks for where an encoder left zeros out."""
MOST_SPLITS: Final = 64
"""Requests of one round that may be asked again in halves because of one bad object."""

_NOTHING: Final[Values] = {}


@dataclass(slots=True)
class Round:
    """What came of one round."""

    places: dict[str, Place]
    dated: dict[int, list[Sample]] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Quantities that had a value, by resource."""
    refused: FaultError | None = None
    """The last request that was refused and could not be asked in halves any more."""

    def give(self, resource: str, quantity: str, values: Values) -> None:
        """Take a quantity's values."""
        if values:
            self.seen.setdefault(resource, set()).add(quantity)
        for time_ms, value in values.items():
            self.dated.setdefault(time_ms, []).append(Sample(resource, quantity, value))


@dataclass(slots=True)
class Poll:
    """How samples are asked for at one vCenter."""

    session: Session
    counters: Mapping[int, Known]
    """By the vCenter's numbers."""
    totals: Totals
    batch: int
    live_ms: int = LIVE_MS
    period_ms: int = 60_000
    """Between two rounds."""
    _splits: int = 0
    _singles: int = 0

    def round(self, subjects: Sequence[Subject], places: Places, now_ms: int) -> Round:
        """Ask for everything since ``places``; ``now_ms`` is the vCenter's clock.

        Raises RetryError when a request is not answered, or all of them are refused.
        """
        self._splits, self._singles = MOST_SPLITS, MOST_SINGLES
        end = now_ms - now_ms % STEP_MS
        resources = {subject.resource for subject in subjects}
        done = Round(standing.kept(places, resources, end))
        windows: list[tuple[Subject, Window]] = []
        for subject in subjects:
            place, window = standing.live(places.get(subject.resource), end, self.live_ms)
            done.places[subject.resource] = place
            if window.start < window.end:
                windows.append((subject, window))
        for asked in _batched(windows, self.batch):
            self._take_new(asked, done)
        if done.refused is not None and not done.dated:
            raise done.refused
        self._catch_up(subjects, done, end)
        self.totals.keep(resources)
        return done

    def _take_new(self, asked: Sequence[tuple[Subject, Window]], done: Round) -> None:
        answers = self._answers(asked, rates=True, done=done)
        for subject, window in asked:
            found = together(subject, answers, window, self.counters)
            if found is None:
                continue
            newest, series = found
            self._give(subject, series, done)
            place = done.places[subject.resource]
            done.places[subject.resource] = place._replace(taken=max(place.taken, newest))

    def _catch_up(self, subjects: Sequence[Subject], done: Round, end: int) -> None:
        """Slices of gaps, the oldest first, as many as one round may have."""
        each = {of: len(self._wanted(is_host=of, rates=False)) for of in (True, False)}
        step = sum(each[subject.is_host] * len(subject.members) for subject in subjects)
        left = most_behind(step, self.period_ms)
        while left > 0:
            windows: list[tuple[Subject, Window]] = []
            for subject in subjects:
                place = done.places[subject.resource]
                window = standing.behind(place, end)
                if window is not None:
                    windows.append((subject, window))
                elif place.gap is not None:
                    done.places[subject.resource] = Place(place.taken)
            if not windows:
                return
            windows.sort(key=lambda one: one[1].start)
            for asked in _batched(windows, self.batch):
                answers = self._answers(asked, rates=False, done=done)
                for subject, window in asked:
                    found = together(subject, answers, window, self.counters)
                    if found is not None:
                        self._give(subject, found[1], done)
                    place = done.places[subject.resource]
                    done.places[subject.resource] = standing.caught_up(place, window)
                    length = (window.end - window.start) // STEP_MS
                    left -= each[subject.is_host] * len(subject.members) * max(length, 1)
                if left <= 0:
                    return

    def _give(
        self, subject: Subject, series: Mapping[tuple[int, str], Values], done: Round
    ) -> None:
        for (number, instance), values in series.items():
            known = self.counters[number]
            resource = subject.resource
            if known.is_gpu:
                try:
                    resource = gpu_resource(subject.resource, instance)
                except ValueError:  # an instance without a name stands for all of them
                    continue
            if known.shape is Shape.LEVEL:
                done.give(resource, known.quantity, values)
            elif values:
                newest, total = self.totals.add(resource, known.quantity, values)
                done.give(resource, known.quantity, {newest: float(round(total))})

    def _answers(
        self, windows: Sequence[tuple[Subject, Window]], *, rates: bool, done: Round
    ) -> dict[str, Told]:
        metrics = {of: Metrics.of(self._wanted(is_host=of, rates=rates)) for of in (True, False)}
        questions = [
            _question(key_of(ref), subject, window, metrics[subject.is_host])
            for subject, window in windows
            for ref, _ in subject.members
        ]
        answers = told(self._asked(questions, done), self.counters, done.failed)
        for question in questions:
            one = answers.get(question.key)
            if one is not None and one.uneven:
                self._even(question, one, done)
        return answers

    def _asked(self, questions: Sequence[Question], done: Round) -> Iterator[Answered]:
        """What is answered; a request that one object spoils is asked again without it."""
        try:
            yield from self.session.samples(questions)
        except FaultError as fault:
            rest = [each for each in questions if each.key != fault.missing]
            if len(rest) < len(questions):
                done.failed["gone"] += len(questions) - len(rest)
                parts: list[Sequence[Question]] = [rest] if rest else []
            elif len(questions) == 1 or self._splits <= 0:
                done.failed["refused"] += len(questions)
                done.refused, parts = fault, []
            else:
                middle = len(questions) // 2
                parts = [questions[:middle], questions[middle:]]
            self._splits -= 1
            for part in parts:
                yield from self._asked(part, done)

    def _even(self, question: Question, one: Told, done: Round) -> None:
        """Find out where the zeros are that an encoder has left out."""
        if self._singles < len(one.times):
            done.failed["uneven"] += len(one.uneven)
            return
        self._singles -= len(one.times)
        metrics = Metrics.of(one.uneven)
        singles: dict[int, Told] = {}
        questions = [
            question._replace(start_ms=each - STEP_MS, end_ms=each, most=1, metrics=metrics)
            for each in one.times
        ]
        for answer in self._asked(questions, done):
            single = told([answer], self.counters, Counter())[answer.key]
            if len(single.times) == 1:
                singles[single.times[0]] = single
        done.failed["uneven"] += settle(one, singles)

    def _wanted(self, *, is_host: bool, rates: bool) -> list[tuple[int, str]]:
        """Counters by number and instance."""
        return [
            (number, EACH if known.is_gpu else WHOLE)
            for number, known in self.counters.items()
            if (is_host or known.is_for_guests) and (rates or known.shape is Shape.LEVEL)
        ]


def most_behind(step: int, period_ms: int) -> int:
    """Samples of the past that one round asks for; ``step``: how many there are every 20 s."""
    paced = PACE * step * period_ms // STEP_MS
    return min(max(paced, LEAST_BEHIND), MOST_BEHIND)


def _question(key: str, subject: Subject, window: Window, metrics: Metrics) -> Question:
    most = (window.end - window.start) // STEP_MS + 1
    return Question(key, subject.is_host, window.start, window.end, most, metrics)


def together(
    subject: Subject, answers: Mapping[str, Told], window: Window, counters: Mapping[int, Known]
) -> tuple[int, dict[tuple[int, str], Values]] | None:
    """The newest time and the values of a subject in a window; None when it told nothing.

    Those of several members are put together at each time at which all that have told of it have a
    value, up to the time that all have come to.
    """
    members = [
        (answers[key_of(ref)], weight)
        for ref, weight in subject.members
        if key_of(ref) in answers and answers[key_of(ref)].times
    ]
    if not members:
        return None
    newest = min(window.end, *(max(one.times) for one, _ in members))
    times = {each for one, _ in members for each in one.times if window.start < each <= newest}
    series: dict[tuple[int, str], Values] = {}
    for key in dict.fromkeys(key for one, _ in members for key in one.values):
        is_mean = counters[key[0]].unit == "percent"
        for each in sorted(times):
            there = [
                (one.values.get(key, _NOTHING).get(each), weight)
                for one, weight in members
                if len(members) == 1 or each in one.times
            ]
            if (value := joined(there, is_mean=is_mean)) is not None:
                series.setdefault(key, {})[each] = value
    return newest, series


def joined(there: Sequence[tuple[float | None, float]], *, is_mean: bool) -> float | None:
    """The sum of values, or their mean by weight; None where one is missing."""
    values = [(value, weight) for value, weight in there if value is not None]
    if len(values) < len(there) or not values:
        return None
    if len(values) == 1:
        return values[0][0]
    if not is_mean:
        return sum(value for value, _ in values)
    weights = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values) / weights if weights else None


def _batched(
    windows: Iterable[tuple[Subject, Window]], size: int
) -> Iterator[list[tuple[Subject, Window]]]:
    """Subjects whose members fill a request; one with more of them has a request of its own."""
    batch: list[tuple[Subject, Window]] = []
    members = 0
    for each in windows:
        number = len(each[0].members)
        if batch and members + number > size:
            yield batch
            batch, members = [], 0
        batch.append(each)
        members += number
    if batch:
        yield batch
