from typing import Literal

from pydantic.dataclasses import dataclass

StructuredOutputsBackend = Literal["auto", "xgrammar", "guidance", "outlines", "lm-format-enforcer"]


@dataclass
class StructuredOutputsConfig:
    backend: StructuredOutputsBackend = "auto"
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    reasoning_parser: str = ""
    reasoning_parser_plugin: str = ""
    enable_in_reasoning: bool = False
