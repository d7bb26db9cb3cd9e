"""A thread of its own for blocking calls."""

import asyncio
import threading

import pytest
from jauge_agent.source import RetryError
from jauge_agent.threaded import OwnThread


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
