"""A thread of its own for blocking calls."""

import asyncio
import threading

import pytest
from jauge_agent.source import RetryError
from jauge_agent.threaded import OwnThread


class Calls:
    """A function that counts its calls, and says when one is made."""

    def __init__(self, *, start: int = 0, failing: int = 0) -> None:
        self.number = start
        self.made = threading.Semaphore(0)
        self._failing = failing

    def __call__(self) -> int:
        """The number of the call, but for the one that fails."""
        self.number += 1
        number = self.number
        self.made.release()
        return number if number != self._failing else number // 0


async def asked(thread: OwnThread, function: Calls) -> int:
    """What a source does at a tick: at once where that is possible."""
    if (result := thread.call_now(function)) is not None:
        return result
    return await thread.call(function)


async def test_calls_run_on_one_other_thread() -> None:
    """Results and exceptions come back; the event loop's thread does not run the call."""
    thread = OwnThread("probe")
    idents = {await thread.call(threading.get_ident) for _ in range(3)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    thread.close()


async def test_a_call_past_its_deadline_is_given_up_and_not_piled_upon() -> None:
    """While the call hangs, the next one fails at once; when it ends, calls work again."""
    thread = OwnThread("probe")
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await thread.call(gate.wait)
    with pytest.raises(RetryError, match="not come back"):
        await thread.call(lambda: 1)
    gate.set()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await thread.call(lambda: 2) == 2
                break
            except RetryError:
                await asyncio.sleep(0.001)
    thread.close()


async def test_the_thread_ends_when_closed_and_starts_anew() -> None:
    """No thread is left behind; a closed one may be used again."""
    thread = OwnThread("jauge-test-thread")
    await thread.call(lambda: None)
    workers = [each for each in threading.enumerate() if each.name == "jauge-test-thread"]
    thread.close()
    for worker in workers:
        worker.join(5)
        assert not worker.is_alive()
    assert await thread.call(lambda: 3) == 3
    thread.close()
    thread.close()


async def test_what_is_called_again_and_again_is_called_ahead() -> None:
    """The second result lies ready when it is asked for; one that has grown old is not given."""
    now = 100.0
    thread = OwnThread("probe", 0.02, clock=lambda: now)
    calls = Calls()
    assert await asked(thread, calls) == 1
    calls.made.acquire(timeout=5)
    assert calls.made.acquire(timeout=5), "the second was made without being asked for"
    assert await asked(thread, calls) == 2
    assert calls.made.acquire(timeout=5)
    now += 1.0
    assert await asked(thread, calls) > 3
    thread.close()


async def test_a_failure_ahead_is_told_to_who_asks() -> None:
    """And the next call is made as ever."""
    thread = OwnThread("probe", 0.02, clock=lambda: 100.0)
    calls = Calls(failing=2)
    assert await asked(thread, calls) == 1
    calls.made.acquire(timeout=5)
    assert calls.made.acquire(timeout=5)
    with pytest.raises(ZeroDivisionError):
        await asked(thread, calls)
    assert await asked(thread, calls) == 3
    thread.close()


@pytest.mark.parametrize("every_s", [None, 60.0])
async def test_other_calls_are_made_when_asked_for(every_s: float | None) -> None:
    """Those that are not said to repeat soon, and one of another function than before."""
    thread = OwnThread("probe", every_s)
    calls = Calls()
    assert [await asked(thread, calls) for _ in range(3)] == [1, 2, 3]
    assert await thread.call(lambda: "another") == "another"
    thread.close()
    assert calls.number == 3


async def test_another_function_is_not_given_what_was_called_ahead() -> None:
    """Each gets its own."""
    thread = OwnThread("probe", 0.02, clock=lambda: 100.0)
    calls, others = Calls(), Calls(start=100)
    assert await asked(thread, calls) == 1
    calls.made.acquire(timeout=5)
    assert calls.made.acquire(timeout=5)
    assert await asked(thread, others) == 101
    thread.close()


def test_a_hanging_call_does_not_keep_the_process() -> None:
    """The thread is a daemon."""
    gate = threading.Event()
    thread = OwnThread("jauge-test-daemon")

    async def hang() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await thread.call(gate.wait)

    asyncio.run(hang())
    (worker,) = [each for each in threading.enumerate() if each.name == "jauge-test-daemon"]
    assert worker.daemon
    gate.set()
    thread.close()
    worker.join(5)
    assert not worker.is_alive()
