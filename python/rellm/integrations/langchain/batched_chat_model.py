"""A chat model that runs all batches through the model together, for every batch method of LangChain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig
from pydantic import Field, PrivateAttr

from rellm.integrations.langchain.answers_ahead import AnswersAhead


class BatchedChatModel(BaseChatModel):
    """LangChain's chat model, with padded batches.

    LangChain asks for the answers of a batch one by one, possibly on several threads. Here all of them are written
    together when the first one is asked for.
    """

    streaming: bool = False
    batch_size: int = Field(default=4, ge=1)

    _ahead: AnswersAhead | None = PrivateAttr(default=None)

    def _many(self, rows: Sequence[tuple[list[BaseMessage], Any, Mapping[str, Any]]]) -> list[ChatResult]:
        """The results of several calls with the same arguments, in one padded batch."""
        raise NotImplementedError

    def _load(self) -> None:
        """Loads the model that copies of this object share."""
        raise NotImplementedError

    def _with_ahead(self, inputs: Sequence[Any], size: int | None) -> Self:
        """A copy of this model that writes the answers of several calls together when the first one is asked for."""
        if len(inputs) < 2 or self.streaming:
            return self
        self._load()
        other = self.model_copy()
        other._ahead = AnswersAhead(self._many, len(inputs), min(self.batch_size, size or self.batch_size))
        return other

    def generate(
        self, messages: list[list[BaseMessage]], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        """Answers to several chats, in padded batches."""
        model = self._with_ahead(messages, None) if self._ahead is None else self
        if model._ahead is not None and model is not self:
            model._ahead.expect(messages, stop, kwargs)
        return BaseChatModel.generate(model, messages, stop, callbacks, **kwargs)

    async def agenerate(
        self, messages: list[list[BaseMessage]], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        """`generate`, without blocking the event loop."""
        model = self._with_ahead(messages, None) if self._ahead is None else self
        if model._ahead is not None and model is not self:
            model._ahead.expect(messages, stop, kwargs)
        return await BaseChatModel.agenerate(model, messages, stop, callbacks, **kwargs)

    def batch(
        self, inputs: list[Any], config: RunnableConfig | list[RunnableConfig] | None = None, *,
        return_exceptions: bool = False, **kwargs: Any,
    ) -> list[Any]:  # fmt: skip
        """Answers to several inputs, in padded batches of `batch_size`, or of `max_concurrency` where that is less."""
        model = self._expecting(inputs, config, kwargs)
        return BaseChatModel.batch(model, inputs, config, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self, inputs: list[Any], config: RunnableConfig | list[RunnableConfig] | None = None, *,
        return_exceptions: bool = False, **kwargs: Any,
    ) -> list[Any]:  # fmt: skip
        """`batch`, without blocking the event loop."""
        model = self._expecting(inputs, config, kwargs)
        return await BaseChatModel.abatch(model, inputs, config, return_exceptions=return_exceptions, **kwargs)

    def _expecting(self, inputs: list[Any], config: Any, kwargs: Mapping[str, Any]) -> Self:
        first = config[0] if isinstance(config, list) and config else config
        most = first.get("max_concurrency") if isinstance(first, Mapping) else None
        model = self._with_ahead(inputs, most)
        if model._ahead is not None:
            given = {name: value for name, value in kwargs.items() if name != "stop"}
            chats = [self._convert_input(one).to_messages() for one in inputs]
            model._ahead.expect(chats, kwargs.get("stop"), given)
        return model
