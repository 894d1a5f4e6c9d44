from dataclasses import dataclass, field

from vllm.exceptions import VLLMValidationError


@dataclass
class StructuredOutputsParams:
    json: str | dict | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    whitespace_pattern: str | None = None
    structural_tag: str | None = None
    _backend: str | None = field(default=None, init=False)
    _backend_was_auto: bool = field(default=False, init=False)


@dataclass
class SamplingParams:
    structured_outputs: StructuredOutputsParams | None = None
    max_tokens: int | None = 16
    min_tokens: int = 0
    ignore_eos: bool = False
    stop_token_ids: list[int] | None = None
    extra_args: dict | None = None

    @property
    def all_stop_token_ids(self):
        return set(self.stop_token_ids or ())

    def _validate_structured_outputs(self, model_config, structured_outputs_config, tokenizer):
        if self.structured_outputs is not None:
            raise VLLMValidationError(f"vLLM's own check, backend {structured_outputs_config.backend}")
