"""Converts the completions of a call to LangChain messages and chunks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from rellm import IncompleteError
from rellm._constraints.tool_calls.call_reader import ArgumentsDelta, CallBegun, IdWritten, TextDelta, arguments_of
from rellm._generate.generator import Generator
from rellm.integrations.langchain.chat_request import ChatRequest
from rellm.integrations.langchain.message_reader import MessageReader, ReasoningDelta, TokensInText, written_text
from rellm.integrations.langchain.token_logprobs import token_logprobs


class ChatAnswers:
    """Makes the messages of one call.

    Args:
        request: the call.
        generator: the generator that writes the text.
        model_name: the model's name, for the metadata.
    """

    def __init__(self, request: ChatRequest, generator: Generator, model_name: str) -> None:
        self._request = request
        self._generator = generator
        self._model_name = model_name
        self._prompt_ids = request.prompt_ids(generator.tokenizer)

    def result(self, completions: Any) -> ChatResult:
        """The result of one completion, or of several for one prompt.

        Raises:
            IncompleteError: one was cut off before it matched.
        """
        generations = []
        written = 0
        for completion in completions if isinstance(completions, list) else [completions]:
            self.refuse_incomplete(completion)
            written += len(completion.token_ids)
            generations.append(self._generation(completion))
        read = len(self._prompt_ids)
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return ChatResult(generations=generations, llm_output={"token_usage": usage, "model_name": self._model_name})

    def _generation(self, completion: Any) -> ChatGeneration:
        reader = MessageReader(self._request.constraint)
        for events in (reader.feed(written_text(completion)), reader.finish()):
            for _ in events:
                pass
        whole = [call for call in reader.calls if call.is_whole]
        message = AIMessage(
            content=reader.content,
            tool_calls=[
                tool_call(name=call.name, args=arguments_of(call), id=call.id or self._new_id()) for call in whole
            ],
            additional_kwargs={"reasoning_content": reader.reasoning} if reader.reasoning else {},
            usage_metadata=self._usage(completion),
            response_metadata=self._metadata(completion, bool(whole)),
        )
        return ChatGeneration(message=message, generation_info={"finish_reason": completion.finish_reason})

    def _usage(self, completion: Any) -> UsageMetadata:
        read, written = len(self._prompt_ids), len(completion.token_ids)
        return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)

    def _metadata(self, completion: Any, has_calls: bool) -> dict[str, Any]:
        reason = "length" if completion.finish_reason == "length" else "tool_calls" if has_calls else "stop"
        found: dict[str, Any] = {
            "finish_reason": reason,
            "is_complete": completion.is_complete,
            "model_name": self._model_name,
            "model_provider": "rellm",
        }
        if completion.trace is not None:
            found["trace"] = completion.trace
        settings = self._request.settings
        if settings["logprobs"] or settings["top_logprobs"]:
            found["logprobs"] = token_logprobs(
                self._generator, self._prompt_ids, completion.token_ids, settings["top_logprobs"] or 0
            )
        return found

    def _new_id(self) -> str:
        calls = self._request.calls
        return uuid.uuid4().hex[:9] if calls is not None and calls.layout.id else f"call_{uuid.uuid4().hex[:24]}"

    def refuse_incomplete(self, completion: Any) -> None:
        """Raise `IncompleteError` for an answer that its budget has cut off; a cut by a stop string is accepted."""
        if completion.is_complete or completion.finish_reason == "stop" or not self._request.is_constrained:
            return
        raise IncompleteError(
            f"the answer was cut off by max_tokens before it matched: {completion.text!r}", text=completion.text
        )

    def chunks(self, stream: Any, tokens: TokensInText, *, shows_usage: bool) -> Iterator[ChatGenerationChunk]:
        """The chunks of a message while it is written: text, thinking and calls token by token, then the metadata.

        Args:
            stream: the stream of its text.
            tokens: the recorder of its tokens.
            shows_usage: whether the last chunk has the numbers of tokens.

        Raises:
            IncompleteError: it was cut off before it matched.
        """
        reader = MessageReader(self._request.constraint)
        with stream:
            for piece in stream:
                for part in tokens.parts(piece, stream.hidden_bytes):
                    for event in reader.feed(part):
                        yield self._chunk(event, reader)
            completion = stream.completion
        for part in tokens.rest():
            for event in reader.feed(part):
                yield self._chunk(event, reader)
        for event in reader.finish():
            yield self._chunk(event, reader)
        last = AIMessageChunk(
            content="",
            response_metadata=self._metadata(completion, bool(reader.calls)),
            usage_metadata=self._usage(completion) if shows_usage else None,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last, generation_info={"finish_reason": completion.finish_reason})
        self.refuse_incomplete(completion)

    def _chunk(self, event: Any, reader: MessageReader) -> ChatGenerationChunk:
        # LangChain merges the parts of a message by index: thinking and text have the first ones.
        first = bool(reader.reasoning) + bool(reader.content)
        match event:
            case TextDelta(text):
                message = AIMessageChunk(content=text)
            case ReasoningDelta(text):
                message = AIMessageChunk(content="", additional_kwargs={"reasoning_content": text})
            case CallBegun(number, name):
                calls = self._request.calls
                made = None if calls is not None and calls.layout.writes_ids else self._new_id()
                begun = tool_call_chunk(name=name, args="", id=made, index=first + number)
                message = AIMessageChunk(content="", tool_call_chunks=[begun])
            case ArgumentsDelta(number, text):
                more = tool_call_chunk(args=text, index=first + number)
                message = AIMessageChunk(content="", tool_call_chunks=[more])
            case IdWritten(number, written):
                told = tool_call_chunk(id=written, index=first + number)
                message = AIMessageChunk(content="", tool_call_chunks=[told])
            case _:
                raise AssertionError(event)
        return ChatGenerationChunk(message=message)
