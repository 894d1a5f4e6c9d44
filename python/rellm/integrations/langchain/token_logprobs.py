"""The model's own log-probabilities of the written tokens, from one pass over prompt and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def token_logprobs(generator: Any, prompt_ids: Sequence[int], token_ids: Sequence[int], top: int) -> dict[str, Any]:
    """Log-probabilities in OpenAI's shape: before temperature, other processors and the constraint.

    Args:
        generator: the `rellm.Generator`.
        prompt_ids: the tokens of the prompt.
        token_ids: the tokens of the text.
        top: the number of likeliest tokens to report at each place.
    """
    import torch

    if not token_ids:
        return {"content": []}
    model = generator.model
    if model.config.is_encoder_decoder:
        raise ValueError("logprobs are not reported for encoder-decoder models: use trace=True")
    ids = torch.tensor([[*prompt_ids, *token_ids]], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, len(prompt_ids) - 1 : -1].float()
    scores = torch.log_softmax(logits, dim=-1)
    content = []
    for place, token in enumerate(token_ids):
        best = scores[place].topk(top).indices.tolist() if top else []
        entry = _entry(generator, token, float(scores[place, token]))
        entry["top_logprobs"] = [_entry(generator, other, float(scores[place, other])) for other in best]
        content.append(entry)
    return {"content": content}


def _entry(generator: Any, token: int, score: float) -> dict[str, Any]:
    vocabulary = generator.vocabulary
    known = token < len(vocabulary)
    data = (vocabulary.token_bytes(token) or b"") if known else b""
    name = vocabulary.special_token_name(token) if known and not data else None
    return {"token": name or data.decode("utf-8", "replace"), "bytes": list(data), "logprob": score}
