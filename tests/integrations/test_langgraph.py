"""LangGraph's agents: every turn is a valid call or the answer that was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("langgraph")
pytest.importorskip("langchain")
pytest.importorskip("transformers")

import chat_scripts
import pydantic
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.tools import tool


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
