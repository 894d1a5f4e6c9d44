"""Streams from transformers' own loop, one token at a time: for models whose cache our loops cannot verify.

A caller's streamer is wrapped in `OnceStreamer`, so that a change of loops does not repeat tokens to it.

`generate` runs on its own thread and waits inside a stopping criterion until the reader asks for the next token, so the
model runs only while somebody reads.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any


class PlainSteps:
    """Iterates over the tokens of the first row, prompt included, after each token.

    Args:
        write: calls `generate` with a given stopping criterion, and returns its result.
    """

    def __init__(self, write: Callable[[Any], Any]) -> None:
        self.result: Any = None
        self._write = write
        self._asked = Semaphore(0)
        self._told: SimpleQueue[list[int] | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._stopped = False
        context = contextvars.copy_context()
        self._thread = Thread(target=context.run, args=(self._run,), name="rellm-stream", daemon=True)

    def __iter__(self) -> Iterator[list[int]]:
        self._thread.start()
        try:
            while (row := self._told.get()) is not None:
                yield row
                self._asked.release()
        finally:
            self._stopped = True
            self._asked.release()
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self.result = self._write(self._wait)
        except BaseException as error:  # raised where the text is read
            self._error = error
        finally:
            self._told.put(None)

    def _wait(self, input_ids: Any, scores: Any = None, **_: Any) -> Any:
        import torch

        if not self._stopped:
            self._told.put(input_ids[0].tolist())
            self._asked.acquire()
        return torch.full((input_ids.shape[0],), self._stopped, dtype=torch.bool, device=input_ids.device)


class OnceStreamer:
    """Wraps the caller's streamer: each part of the text reaches it once, even if the text is begun again.

    Args:
        streamer: as transformers takes it.
    """

    def __init__(self, streamer: Any) -> None:
        self._streamer = streamer
        self._told = 0
        self._again = 0

    def begin_again(self) -> None:
        """The same text is written again from its prompt on: skip the parts that were passed before."""
        self._again = self._told

    def put(self, value: Any) -> None:
        if self._again:
            self._again -= 1
            return
        self._told += 1
        self._streamer.put(value)

    def end(self) -> None:
        self._streamer.end()
