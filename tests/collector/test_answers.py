"""Answers and marks: what is promised to an agent is promised only when it holds."""

from jauge_collector.answers import MAX_REFUSALS, Answers, Arrival
from jauge_collector.ledger.book import QUARTER_MS
from jauge_collector.ledger.clocks import ClockSpan
from jauge_collector.marks import RIDE_MS, Marks
from jauge_models.wire import Address, Answer

A, B = Address("s", "a"), Address("s", "b")


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The moment it is."""
        return self.now_s


def arrivals(address: Address, *seqs: int, boot: str = "b1") -> list[Arrival]:
    """Batches that the store took."""
    return [Arrival(address, boot, seq, 0) for seq in seqs]


def test_nothing_is_answered_before_it_has_settled() -> None:
    """A batch falls due exactly the settle time after the store took it, and only once."""
    clock = Clock()
    answers = Answers(30.0, clock)
    due_s = [answers.next_due_s]
    answers.stored(arrivals(A, 1), "g")
    due_s.append(answers.next_due_s)
    assert due_s == [None, 1030.0]
    clock.now_s = 1029.9
    assert answers.take("g", clock()).answers == []
    clock.now_s = 1030.0
    assert answers.take("g", clock()).answers == [(A, Answer("b1", [(1, 1)]))]
    assert answers.take("g", clock()).answers == []
    assert answers.next_due_s is None
    assert answers.size == 0


def test_one_answer_per_agent_and_boot_with_ranges() -> None:
    """What is due together is merged; another agent and another boot have their own answer."""
    clock = Clock()
    answers = Answers(0.0, clock)
    answers.stored(arrivals(A, 3, 1, 2) + arrivals(B, 8), "g")
    answers.stored(arrivals(A, 7, 4) + arrivals(A, 9, boot="b2"), "g")
    answers.refused(A, "b1", 6, "too_old")
    answers.refused(A, "b1", 5, "address")
    answers.refused(B, "b7", 1, "limits")
    due = answers.take("g", clock())
    assert {(address, a.boot): a for address, a in due.answers} == {
        (A, "b1"): Answer("b1", [(1, 4), (7, 7)], [(5, "address"), (6, "too_old")]),
        (A, "b2"): Answer("b2", [(9, 9)]),
        (B, "b1"): Answer("b1", [(8, 8)]),
        (B, "b7"): Answer("b7", [], [(1, "limits")]),
    }
    assert len(due.answered) == 7


def test_what_another_store_process_took_is_forgotten() -> None:
    """A batch written under one generation is not answered under another: it may be lost."""
    clock = Clock()
    answers = Answers(30.0, clock)
    answers.stored(arrivals(A, 1, 2), "before")
    answers.stored(arrivals(A, 3), "after")
    clock.now_s += 30.0
    due = answers.take("after", clock())
    assert due.answers == [(A, Answer("b1", [(3, 3)]))]
    assert due.forgotten == 2
    assert answers.size == 0


def test_a_silenced_agent_gets_no_answer() -> None:
    """Batches and refusals of an agent in quarantine end here; the others are answered."""
    clock = Clock()
    answers = Answers(0.0, clock)
    answers.stored(arrivals(A, 1) + arrivals(B, 1), "g")
    answers.refused(A, "b1", 2, "too_old")
    due = answers.take("g", clock(), silenced=[A])
    assert due.answers == [(B, Answer("b1", [(1, 1)]))]
    assert [arrival.address for arrival in due.answered] == [B]
    assert answers.take("g", clock()).answers == []


def test_what_there_is_no_room_for_stays_unanswered() -> None:
    """Both waiting rooms are bounded; what does not fit is told and forgotten."""
    clock = Clock()
    answers = Answers(0.0, clock, limit=3)
    assert answers.stored(arrivals(A, 1, 2), "g") == 0
    assert answers.stored(arrivals(A, 3, 4), "g") == 1
    assert answers.stored(arrivals(A, 5), "g") == 1
    assert answers.take("g", clock()).answers == [(A, Answer("b1", [(1, 3)]))]
    assert answers.stored(arrivals(A, 5), "g") == 0
    kept = [answers.refused(A, "b", seq, "limits") for seq in range(MAX_REFUSALS + 5)]
    assert kept.count(False) == 5


def test_batches_ride_on_a_written_mark_until_its_stamp() -> None:
    """Within the stamp of a written mark no other is written; after it, and elsewhere, one is."""
    seconds = Clock()
    marks = Marks(clock=seconds)
    now = 100 * QUARTER_MS + 5
    marks.note(A, {now, now - QUARTER_MS}, now)
    waiting = [marks.waiting]
    due = marks.take(now)
    assert due.arrived == {A: {100 * QUARTER_MS, 99 * QUARTER_MS}}
    assert due.oldest_ms == {A: now}
    assert due.stamp_ms == now + RIDE_MS
    marks.note(A, {now}, now)
    waiting.append(marks.waiting)  # what is not written yet carries nobody
    marks.failed(marks.take(now + 1))
    waiting.append(marks.waiting)  # what could not be written is written the next time
    marks.written(marks.take(now))
    waiting.append(marks.waiting)
    seconds.now_s += RIDE_MS / 1000 - 0.1
    marks.note(A, {now + 1}, now + 1)
    waiting.append(marks.waiting)
    assert waiting == [True, True, True, False, False]
    assert marks.take(due.stamp_ms).oldest_ms == {A: now + 1}

    marks.note(B, {now}, now)
    seconds.now_s += 0.1
    marks.note(A, {now}, now)
    assert marks.take(due.stamp_ms + 1).arrived == {A: {100 * QUARTER_MS}, B: {100 * QUARTER_MS}}


def test_a_failed_write_does_not_undo_what_came_meanwhile() -> None:
    """Noted while a write was under way: kept beside what failed, the newer bfrom wins."""
    marks = Marks()
    marks.note(A, {0}, 1)
    failing = marks.take(0)
    marks.note(A, {QUARTER_MS}, 2)
    marks.failed(failing)
    due = marks.take(0)
    assert due.arrived == {A: {0, QUARTER_MS}}
    assert due.oldest_ms == {A: 2}


def test_marks_are_bounded_and_what_they_say_of_clocks_is_kept() -> None:
    """Full, they say so; what could not be written is written with what came since."""
    marks = Marks(limit=2)
    marks.note(A, {0}, 0)
    assert (len(marks), marks.is_full) == (1, False)
    marks.note(B, {0, QUARTER_MS, 2 * QUARTER_MS}, 0)
    assert (len(marks), marks.is_full) == (4, True)
    marks.note_clock(A, [ClockSpan(0, 10, 40_000)])
    due = marks.take(0)
    assert not due.is_empty
    assert marks.take(0).is_empty
    marks.note_clock(A, [ClockSpan(5, 20, -50_000)])
    marks.failed(due)
    assert marks.take(0).wrong_clocks == {A: [ClockSpan(0, 20, -50_000)]}
