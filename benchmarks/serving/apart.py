"""What is measured in processes of its own: the threads of one way would slow those of another.

GNU's OpenMP counts the threads of a whole process. With more of them than cores, those that wait sleep at
once, and every parallel product pays for waking them: in one process, ours and peers were twice as slow.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeVar

from benchmarks.timing import Times, by_turns

Arm = Callable[[], object]  # answers everybody once
Found = TypeVar("Found")
_SPAWN = multiprocessing.get_context("spawn")


def in_a_process(measure: Callable[[], Found]) -> Found:
    """Return what a picklable function finds in a fresh process; what it raises is raised here."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        return pool.submit(measure).result()


def timed(makers: Mapping[str, Callable[[], Arm]], repeats: int) -> dict[str, Times]:
    """Time each way so often, by turns, after once that does not count (it loads adapters).

    A maker is picklable and makes its arm in a process of its own, before anything is timed. Raises
    RuntimeError with the child's words when an arm fails.
    """
    with ExitStack() as children:
        ways = {name: children.enter_context(_apart(maker)) for name, maker in makers.items()}
        for act in ways.values():
            act()
        return by_turns(ways, repeats=repeats)


@contextmanager
def _apart(maker: Callable[[], Arm]) -> Iterator[Arm]:
    ours, theirs = _SPAWN.Pipe()
    child = _SPAWN.Process(target=_serve, args=(theirs, maker))
    child.start()
    theirs.close()
    try:
        _answer(ours)  # it is made
        yield partial(_run_once, ours)
    finally:
        ours.close()
        child.join()


def _run_once(connection: Connection) -> None:
    connection.send("go")
    _answer(connection)


def _answer(connection: Connection) -> None:
    try:
        failed = connection.recv()
    except EOFError:
        failed = "the process ended"
    if failed:
        raise RuntimeError(f"A way of the benchmark failed: {failed}")


def _serve(connection: Connection, maker: Callable[[], Arm]) -> None:
    """Make the arm and run it whenever asked, until the other end is closed."""
    try:
        act = maker()
        connection.send("")
        while connection.recv():
            act()
            connection.send("")
    except EOFError:
        pass
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
        raise
