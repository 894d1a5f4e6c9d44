"""LangChain's own tests of chat models on SmolLM2. They take twenty minutes: `RELLM_SLOW=1` runs them.

Calls and answers are always valid. A test that also asks for the model's judgement is an expected failure: the model
has 135 million parameters. The same test passes on a model that knows what to say, in test_langchain_standard.py.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

pytest.importorskip("langchain_tests")
pytest.importorskip("transformers")

import real_model
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from rellm.integrations.langchain import ChatRELLM


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("RELLM_SLOW"), reason="takes twenty minutes: RELLM_SLOW=1 runs it")
class TestSmolLM2(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatRELLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"pipeline": real_model.pipeline()}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 60, "timeout": 300, "max_retries": 2}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @pytest.mark.xfail(reason="judgement: asked to use a tool, and free to, the model answers in text")
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)
