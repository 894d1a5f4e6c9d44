"""Worker processes that complete rows, each with its own model. When a worker dies, its batch is done again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from rellm._errors import RellmError

Numbered = list[tuple[int, dict[str, Any]]]
Results = list[tuple[int, dict[str, Any], dict[str, Any]]]

_MOST_DEATHS: Final = 3  # workers that die one after the other without completing a batch


def completed(
    batches: Iterator[Numbered], factory: Callable[[], Any], workers: int, told: Callable[[str], None]
) -> Iterator[Results]:
    """The rows of the batches with their added columns, in the order in which they are completed.

    Args:
        batches: lists of (number, row).
        factory: makes a `CompleteRows`; with several workers it must be picklable, and is called in each.
        workers: how many processes; 1: this one.
        told: called with a message for each worker that dies.

    Raises:
        RellmError: no worker can start.
    """
    if workers == 1:
        complete = factory()
        for batch in batches:
            yield _with(batch, complete.rows([row for _, row in batch]))
        return
    pool = _Pool(batches, factory, workers, told)
    try:
        yield from pool.results()
    finally:
        pool.close()


def _with(batch: Numbered, added: list[dict[str, Any]]) -> Results:
    return [(number, row, more) for (number, row), more in zip(batch, added, strict=True)]


class _Worker:
    def __init__(self, factory: Callable[[], Any], share: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, factory, share), daemon=True)
        self.process.start()
        theirs.close()
        self.batch: Numbered | None = None
        self.is_ready = False

    def give(self, batch: Numbered) -> None:
        self.batch = batch
        self.pipe.send([row for _, row in batch])

    def end(self) -> None:
        self.pipe.close()
        if self.process.is_alive():
            self.process.terminate()
        self.process.join(5)


class _Pool:
    def __init__(
        self, batches: Iterator[Numbered], factory: Callable[[], Any], count: int, told: Callable[[str], None]
    ) -> None:
        self._batches = batches
        self._factory = factory
        self._told = told
        self._share = max((os.cpu_count() or 1) // count, 1)
        self._again: deque[tuple[Numbered, int]] = deque()  # batches whose worker has died, and how often
        self._deaths_of: dict[int, int] = {}  # by the number of a batch's first row
        self._workers = [_Worker(factory, self._share) for _ in range(count)]
        self._deaths = 0

    def results(self) -> Iterator[Results]:
        while True:
            for worker in self._workers:
                if worker.is_ready and worker.batch is None:
                    batch = self._next()
                    if batch is not None:
                        self._give(worker, batch)
            is_idle = not self._again and all(worker.batch is None for worker in self._workers)
            if is_idle and (all(worker.is_ready for worker in self._workers) or self._is_empty()):
                return
            for pipe in wait([worker.pipe for worker in self._workers]):
                worker = next(worker for worker in self._workers if worker.pipe is pipe)
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    yield from self._died(worker)
                    continue
                if answer == "ready":
                    worker.is_ready = True
                elif isinstance(answer, str):
                    raise RellmError(answer)
                elif worker.batch is not None:
                    done, worker.batch = _with(worker.batch, answer), None
                    self._deaths = 0
                    yield done

    def close(self) -> None:
        for worker in self._workers:
            worker.end()

    def _give(self, worker: _Worker, batch: Numbered) -> None:
        try:
            worker.give(batch)
        except OSError:  # the worker has died; `wait` notices it and hands its batch to another one
            worker.batch = batch

    def _next(self) -> Numbered | None:
        if self._again:
            return self._again.popleft()[0]
        return next(self._batches, None)

    def _is_empty(self) -> bool:
        batch = next(self._batches, None)
        if batch is not None:
            self._again.append((batch, 0))
        return batch is None

    def _died(self, worker: _Worker) -> Iterator[Results]:
        worker.end()
        code = worker.process.exitcode
        self._told(f"a worker has died (exit code {code}); another takes its place")
        self._deaths += 1
        self._workers.remove(worker)
        batch = worker.batch
        if self._deaths > _MOST_DEATHS * (len(self._workers) + 1):
            raise RellmError(
                f"workers die again and again (exit code {code}): try a smaller --batch-size, or one worker"
            )
        if batch is not None:
            if len(batch) > 1:
                self._again.extend(([one], 0) for one in batch)  # one of them may be the cause
            elif self._times(batch[0][0]) < 2:
                self._again.append((batch, 1))
            else:
                error = f"WorkerDied: the worker died twice with this row (exit code {code})"
                yield _with(batch, [{"text": None, "value": None, "finish_reason": None, "error": error}])
        self._workers.append(_Worker(self._factory, self._share))

    def _times(self, number: int) -> int:
        self._deaths_of[number] = self._deaths_of.get(number, 0) + 1
        return self._deaths_of[number]


def _work(pipe: Connection, factory: Callable[[], Any], threads: int) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles ctrl-C
    try:
        import torch

        torch.set_num_threads(threads)
    except ImportError:
        pass
    with suppress(EOFError, OSError):  # the parent is gone
        try:
            complete = factory()
        except Exception as error:
            pipe.send(f"a worker cannot start: {type(error).__name__}: {error}")
            return
        pipe.send("ready")
        while True:
            pipe.send(complete.rows(pipe.recv()))
