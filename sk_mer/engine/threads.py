"""Small torch computations side by side, a processor core for each."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import lru_cache
from typing import Any, TypeVar

import joblib
import torch

__all__ = [
    "ProcessLock",
    "cores_for_micro_batches",
    "n_cores",
    "n_micro_batches",
    "own_random_stream",
    "random_stream",
    "run_together",
    "worker_number",
]

# Rows that a thread takes at a time: with fewer its matrix units idle, with more the
# working set leaves its cache.
_MIN_ROWS, _MAX_ROWS = 32, 64

Result = TypeVar("Result")
_LOCAL = threading.local()


class ProcessLock:
    """A lock that one thread may take repeatedly, and that a forked child finds free."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for other threads to leave, and keep them out."""
        with self._lock:
            yield


_NUMBER = ProcessLock()


@contextmanager
def _number_of_others_kept() -> Iterator[None]:
    """Let threads set torch's number of threads in here for themselves alone.

    Beside being that thread's own, the number that was set last goes to all threads yet
    to come. A thread that has just come reads and restores it.
    """
    with _NUMBER.held(), ThreadPoolExecutor(1) as fresh:
        number = fresh.submit(torch.get_num_threads).result()
        try:
            yield
        finally:
            fresh.submit(torch.set_num_threads, number).result()


def _own_number() -> int:
    """Torch's number for this thread, which gets it at first use: not amid a change."""
    with _NUMBER.held():
        return torch.get_num_threads()


def _use_threads(number: int) -> None:
    """Let torch use so many threads for what this thread computes."""
    if torch.get_num_threads() != number:
        with _number_of_others_kept():
            torch.set_num_threads(number)


@contextmanager
def cores_for_micro_batches() -> Iterator[None]:
    """Give the cores to :func:`run_together` and leave one to everything around it.

    As many cores as :func:`torch.get_num_threads` says, or one in a joblib worker,
    which shares the machine with others. torch's number is the user's again afterwards,
    and is never another for other threads.
    Were the calling thread to use torch's own threads in between, these would wait for
    more work by spinning and take a tenth of the time from ours.
    """
    # torch's number of threads belongs to the thread that sets it, but threads yet to come
    # inherit the last one set, whoever set it: hence the care with which it is changed.
    given, outer = _own_number(), getattr(_LOCAL, "cores", None)
    _LOCAL.cores = 1 if _in_joblib_worker() else (outer or given)
    _use_threads(1)
    try:
        yield
    finally:
        _LOCAL.cores = outer
        _use_threads(given)


def _in_joblib_worker() -> bool:
    backend, _ = joblib.parallel.get_active_backend()
    return bool(backend.nesting_level)


_THREADS = itertools.count(1)


def worker_number() -> int:
    """Which of joblib's workers this is, counted from 0; 0 outside of them too.

    Workers that were started together have numbers that follow each other. They are
    processes, or threads of this one.

    Returns
    -------
    int
    """
    number = multiprocessing.current_process()._identity  # of children of a process
    if threading.current_thread() is threading.main_thread() or not _in_joblib_worker():
        return number[-1] - 1 if number else 0
    if not hasattr(_LOCAL, "worker"):
        _LOCAL.worker = next(_THREADS)
    return int(_LOCAL.worker) - 1


def n_cores() -> int:
    """How many tasks :func:`run_together` runs at a time."""
    return getattr(_LOCAL, "cores", None) or _own_number()


def n_micro_batches(n_rows: int) -> int:
    """Into how many micro-batches rows are divided, so that every thread has work.

    Parameters
    ----------
    n_rows : int
        Utterances in a batch.

    Returns
    -------
    int
        1 where they are too few to divide.
    """
    n_threads = n_cores()
    rounds = math.ceil(n_rows / (_MAX_ROWS * n_threads))
    if rounds > 1:
        return rounds * n_threads
    return max(math.ceil(n_rows / _MAX_ROWS), min(n_threads, n_rows // _MIN_ROWS), 1)


def run_together(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Results of `tasks`, computed side by side where torch may use several threads.

    Parameters
    ----------
    tasks : sequence of callable
        Without arguments; each runs in the gradient and autocast mode of the caller
        and sees its context variables.

    Returns
    -------
    list
        In the order of `tasks`.

    Notes
    -----
    torch spreads each single product over its threads, which wait for one another
    after every step of a recurrent layer. Whole computations side by side, one thread
    each, do not wait.
    """
    n_threads = n_cores()
    if min(n_threads, len(tasks)) < 2 or getattr(_LOCAL, "in_pool", False):
        return [task() for task in tasks]
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    low, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run(task: Callable[[], Result], context: Context) -> Result:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(grad),
            torch.autocast("cpu", dtype, enabled=low),
        ):
            return context.run(task)

    # One copy each, because two threads cannot be in the same context at once.
    contexts = [copy_context() for _ in tasks]
    return list(_pool(n_threads, os.getpid()).map(run, tasks, contexts))


# By process, because the threads of a parent do not live on in its forks.
@lru_cache(maxsize=4)
def _pool(n_threads: int, _process: int) -> ThreadPoolExecutor:
    barrier = threading.Barrier(n_threads)

    def use_one_core(_: int) -> None:
        _LOCAL.in_pool = True
        torch.get_num_threads()  # lets torch set this thread up, which it does once
        barrier.wait()
        torch.set_num_threads(1)
        barrier.wait()

    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="sk_mer")
    with _number_of_others_kept():
        list(pool.map(use_one_core, range(n_threads)))
    return pool


@contextmanager
def own_random_stream(seed: int) -> Iterator[None]:
    """A stream of random numbers for this thread.

    Parameters
    ----------
    seed : int
        Of the stream. Threads that shared torch's one stream would race for its
        numbers, and the same seed would no longer give the same weights.
    """
    outer = random_stream()
    _LOCAL.generator = torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _LOCAL.generator = outer


def random_stream() -> Any:
    """The generator to draw from in this thread; None stands for torch's own."""
    return getattr(_LOCAL, "generator", None)
