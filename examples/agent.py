"""An agent of LangGraph on a local model: every turn is a valid call of a tool, or the answer that was asked for.

python examples/agent.py FOLDER        (a model's folder; `rellm demo --folder` prints one)
"""

import sys
from collections.abc import Callable

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, ModelResponse, wrap_model_call
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from rellm.integrations.langchain import ChatRELLM


@tool
def population(city: str) -> int:
    """How many people live in a city."""
    return {"Paris": 2_100_000, "Cairo": 10_200_000}.get(city, 1_000_000)


class City(BaseModel):
    """A city and how many people live there."""

    name: str = Field(max_length=30)
    people: int = Field(ge=0, le=40_000_000)


@wrap_model_call
def answer_after_a_result(request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
    """When to stop asking is a judgement that so small a model has not: left free, it calls the tool for ever."""
    if any(message.type == "tool" for message in request.messages):
        request = request.override(tools=[])
    return handler(request)


model = ChatRELLM.from_model_id(sys.argv[1], temperature=0, max_tokens=100)
agent = create_agent(model, tools=[population], response_format=City, middleware=[answer_after_a_result])
result = agent.invoke({"messages": [("user", "How many people live in Paris?")]})

for message in result["messages"]:
    for call in getattr(message, "tool_calls", []):
        print(f"calls {call['name']}({call['args']})")
    if message.type == "tool":
        print(f"gets {message.content}")
print(repr(result["structured_response"]))
