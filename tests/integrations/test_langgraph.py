"""LangGraph's agents: every turn is a valid call or the answer that was asked for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

pytest.importorskip("langgraph")
pytest.importorskip("langchain")
pytest.importorskip("transformers")

import chat_scripts
import pydantic
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.tools import tool
from langgraph.errors import GraphRecursionError


class Person(pydantic.BaseModel):
    """A person."""

    name: str = pydantic.Field(max_length=20)
    age: int = pydantic.Field(ge=0, le=150)


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def agent(**options: Any) -> Any:
    return create_agent(chat_scripts.model(max_tokens=200), tools=[weather], **options)


def test_a_tool_loop_ends_with_the_answer_that_was_asked_for() -> None:
    result = agent(response_format=Person).invoke({"messages": [("user", "Weather in Rome, and who is Ada?")]})
    kinds = [type(message) for message in result["messages"][1:]]
    assert kinds == [AIMessage, ToolMessage, AIMessage]
    assert result["messages"][1].tool_calls[0]["args"] == {"city": "Rome"}
    assert result["structured_response"] == Person(name="Ada", age=36)


def test_a_tool_loop_without_a_format_ends_in_text() -> None:
    result = agent().invoke({"messages": [("user", "Weather in Rome?")]})
    assert result["messages"][-1].content == "The tool says sunny in Rome."


def test_a_model_that_calls_for_ever_answers_once_its_tools_are_taken_away() -> None:
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'

    @wrap_model_call
    def answer_after_a_result(request: Any, handler: Any) -> Any:
        has_result = any(message.type == "tool" for message in request.messages)
        return handler(request.override(tools=[]) if has_result else request)

    chat = chat_scripts.saying(call, max_tokens=200)
    asked = {"messages": [("user", "Weather in Rome?")]}
    for_ever = create_agent(chat, tools=[weather], response_format=Person)
    with pytest.raises(GraphRecursionError):
        for_ever.invoke(asked, {"recursion_limit": 8})
    ended = create_agent(chat, tools=[weather], response_format=Person, middleware=[answer_after_a_result])
    result = ended.invoke(asked)
    assert [type(message) for message in result["messages"][1:]] == [AIMessage, ToolMessage, AIMessage]
    assert isinstance(result["structured_response"], Person)


def test_every_turn_of_any_model_is_a_call_or_the_answer() -> None:
    # Scores that mean nothing: whatever comes is one of the two.
    chat = chat_scripts.saying("", max_tokens=80, temperature=50.0, seed=5)
    turns = create_agent(chat, tools=[weather], response_format=Person)
    for number in range(4):
        asked = {"messages": [("user", f"Weather? {number}")]}
        messages: list[Any] = []
        with contextlib.suppress(GraphRecursionError):
            for chunk in turns.stream(asked, {"recursion_limit": 4}, stream_mode="updates"):
                messages += [one for part in chunk.values() for one in part.get("messages", [])]
        assert messages
        for message in (one for one in messages if isinstance(one, AIMessage)):
            if message.tool_calls:
                assert [set(call["args"]) for call in message.tool_calls] == [{"city"}]
            else:
                Person.model_validate_json(message.content)


def test_messages_are_streamed_token_by_token() -> None:
    chunks = [
        chunk
        for chunk, _ in agent().stream({"messages": [("user", "Weather in Rome?")]}, stream_mode="messages")
        if isinstance(chunk, AIMessageChunk)
    ]
    assert sum(bool(chunk.tool_call_chunks) for chunk in chunks) > 5
    assert sum(bool(chunk.content) for chunk in chunks) > 5


def test_agents_run_in_an_event_loop() -> None:
    result = asyncio.run(agent(response_format=Person).ainvoke({"messages": [("user", "Weather in Rome?")]}))
    assert isinstance(result["structured_response"], Person)
