"""Generation in an event loop: the model runs on a thread, and stops within one token after a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic, Self

from rellm._generate.typed_results import Value

if TYPE_CHECKING:
    from rellm._generate.completion import Completion
    from rellm._generate.stream import TextStream


class Cancelled:
    """A stopping criterion that ends all rows once `set` is called."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """End the rows after the token that is being written; from any thread."""
        self._is_set = True

    def __call__(self, input_ids: Any, scores: Any = None, **_: Any) -> Any:
        import torch

        return torch.full((input_ids.shape[0],), self._is_set, dtype=torch.bool, device=input_ids.device)


async def on_a_thread(write: Callable[[Cancelled], Any]) -> Any:
    """`write(cancelled)` on a thread. A cancelled task waits for the one token that is being written."""
    cancelled = Cancelled()
    work = asyncio.ensure_future(asyncio.to_thread(write, cancelled))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        with contextlib.suppress(Exception):  # the text is discarded, so its errors are too
            await asyncio.shield(work)
        raise


class AsyncTextStream(AsyncIterator[str], Generic[Value]):
    """The pieces of a text while a model writes it, for an event loop; made by `Generator.astream`.

        stream = generator.astream(prompt, constraint)
        async for piece in stream:
            print(piece, end="", flush=True)
        (await stream.completion()).value

    Each piece is written on a thread, and only when it is asked for. When the task that waits for one is cancelled, or
    `aclose()` is called, the text ends where it is.
    """

    def __init__(self, stream: TextStream[Value]) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        work = asyncio.ensure_future(asyncio.to_thread(next, self._stream, None))
        try:
            piece = await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stream.stop()
            with contextlib.suppress(Exception):
                await asyncio.shield(work)
            await self.aclose()
            raise
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def completion(self) -> Completion[Value]:
        """The `Completion` of the whole text; pieces that were not read yet are written first."""
        async for _ in self:
            pass
        return self._stream.completion

    async def aclose(self) -> None:
        """End the text at its present length."""
        await asyncio.to_thread(self._stream.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
