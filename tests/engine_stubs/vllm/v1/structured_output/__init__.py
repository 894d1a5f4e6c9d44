from types import SimpleNamespace


class StructuredOutputManager:
    def __init__(self, vllm_config):
        self.vllm_config = vllm_config
        self.tokenizer = vllm_config.tokenizer
        self.backend = None
        self.backend_name = None

    def grammar_init(self, request):
        if request.structured_output_request is None:
            return
        if self.backend is None:
            self.backend = SimpleNamespace(name="vLLM's own")
        request.structured_output_request.grammar = self._create_grammar(request)

    def _create_grammar(self, request):
        return "vLLM's own"
