"""Prefetching and asynchronous writing: order, bounds, errors, endings."""

import threading
import time

import pytest

from osmn_recurrent.inference import threads


def running():
    return [t.name for t in threading.enumerate() if t.name in ("prefetch", "writer")]


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_prefetch_is_bounded_and_in_order():
    made = []

    def numbers():
        for k in range(50):
            made.append(k)
            yield k

    items = threads.prefetch(numbers(), depth=3)
    assert next(items) == 0
    # One was taken, three wait, one is in the hands of the thread.
    assert wait_until(lambda: len(made) == 5)
    time.sleep(0.25)
    assert len(made) == 5
    assert list(items) == list(range(1, 50))
    assert not running()


def test_prefetch_runs_beside_its_user():
    """The second item is made while the first one is in use."""
    made, main = threading.Event(), threading.get_ident()
    makers = []

    def source():
        yield 0
        makers.append(threading.get_ident())
        made.set()
        yield 1

    items = threads.prefetch(source())
    assert next(items) == 0
    assert made.wait(5)
    assert list(items) == [1]
    assert main not in makers


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_prefetch_hands_errors_on(error):
    def failing():
        yield 1
        yield 2
        raise error("at the third")

    found = []
    with pytest.raises(error, match="at the third"):
        for item in threads.prefetch(failing()):
            found.append(item)
    assert found == [1, 2]
    assert not running()


def test_prefetch_ends_when_its_user_does():
    """An endless source is closed, its thread gone."""
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    items = threads.prefetch(endless(), depth=2)
    next(items)
    items.close()
    assert closed == [True]
    assert not running()


def test_async_writer_is_bounded_and_in_order():
    gate, done = threading.Event(), []

    def work(k):
        gate.wait(5)
        done.append((k, threading.get_ident()))

    with threads.AsyncWriter(depth=2) as writer:
        for k in range(3):  # one at work, two waiting
            writer.put(work, k)
        late = threading.Thread(target=writer.put, args=(work, 3))
        late.start()
        time.sleep(0.1)
        assert late.is_alive()  # no room
        gate.set()
        late.join(5)
    assert [k for k, _ in done] == [0, 1, 2, 3]
    assert threading.get_ident() not in {i for _, i in done}
    assert not running()


def test_async_writer_finishes_on_interrupts():
    done = []
    with pytest.raises(KeyboardInterrupt), threads.AsyncWriter() as writer:
        for k in range(3):
            writer.put(lambda k: (time.sleep(0.02), done.append(k)), k)
        raise KeyboardInterrupt
    assert done == [0, 1, 2]
    assert not running()


def test_async_writer_stops_at_an_error():
    done = []

    def work(k):
        if k == 1:
            raise OSError(28, "No space left on device")
        done.append(k)

    with pytest.raises(OSError, match="No space left"), threads.AsyncWriter() as writer:
        for k in range(100):
            writer.put(work, k)
            time.sleep(0.005)
    assert done == [0]
    with pytest.raises(OSError, match="No space"), threads.AsyncWriter() as writer:
        writer.put(work, 1)  # the last one: raised at the end of the block
    assert not running()
