"""LangChain: `RELLM`, a language model, and `ChatRELLM`, a chat model, whose answers match a constraint."""

from __future__ import annotations

try:
    import langchain_core as _langchain_core
    import pydantic as _pydantic
except ModuleNotFoundError as error:
    if error.name not in {"langchain_core", "pydantic"}:
        raise  # another module is missing or broken, so do not blame LangChain
    raise ModuleNotFoundError(
        f"rellm.integrations.langchain needs {error.name.replace('_', '-')}, which is not installed: "
        "install this package with its extra [langchain]",
        name=error.name,
    ) from error

from rellm.integrations.langchain.chat_model import ChatRELLM
from rellm.integrations.langchain.text_model import RELLM

del _langchain_core, _pydantic

__all__ = ["RELLM", "ChatRELLM"]
