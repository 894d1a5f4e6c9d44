from pydantic import Field
from pydantic.dataclasses import dataclass

from vllm.config.structured_outputs import StructuredOutputsConfig


@dataclass
class VllmConfig:
    structured_outputs_config: StructuredOutputsConfig = Field(default_factory=StructuredOutputsConfig)
