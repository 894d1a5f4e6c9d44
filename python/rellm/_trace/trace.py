"""The trace of a constraint's effect on a model: for each token, the probability that the mask removed, and why.

A trace is made after the text is written: the model reads prompt and text once more, in one forward pass, and a new
matcher reads the tokens and gives the mask of each step. So generation without a trace costs nothing extra, and the
probabilities are the model's own distribution, before temperature, top-k or any other processor.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rellm._errors import RellmError

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]

LEAST_PROBABILITY = 1e-4
"""Refused tokens below this probability are not listed; their mass still counts."""


@dataclass(frozen=True, slots=True)
class RefusedToken:
    """A token that the model could have taken and the constraint did not allow.

    Attributes:
        token_id: the token.
        text: its text, bytes that are no character as `\\xNN`; empty for a special token.
        probability: the model's probability for it, before masking.
        reason: why it was refused, in words.
        expected: the allowed texts here ("a digit, or the end of the text"); empty where that is not the reason.
        is_end: it would have ended the text.
    """

    token_id: int
    text: str
    probability: float
    reason: str
    expected: str = ""
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class TracedToken:
    """One written token, and the effect of the mask on its choice.

    Attributes:
        token_id: the token.
        text: its text, bytes that are no character as `\\xNN`; empty for the end of the text.
        log_probability_before: the natural logarithm of the model's probability for it.
        log_probability_after: the same after masking, with the allowed tokens normalised to one.
        removed_mass: the probability of all refused tokens together, from 0 to 1.
        log_kept_mass: the natural logarithm of the probability that is left, exact where `removed_mass` is close to 1.
        refused: the likeliest refused tokens, best first.
        is_overruled: the model's own first choice was refused.
        is_forced: the constraint allowed no other text here.
        is_end: this is the end-of-sequence token.
        choices: how many tokens were allowed.
        pointers: under a JSON constraint, the JSON pointers of the strings, numbers and literals that the token is part
            of; the character that ends a number counts as part of it.
        path: under a JSON constraint, the JSON pointer of the value that is being written behind the token; "" for the
            whole.
    """

    token_id: int
    text: str
    log_probability_before: float
    log_probability_after: float
    removed_mass: float
    log_kept_mass: float
    refused: tuple[RefusedToken, ...]
    is_overruled: bool
    is_forced: bool
    is_end: bool
    choices: int = 0
    pointers: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """The effect of a constraint on one completion, token by token.

    Attributes:
        tokens: the written tokens in order, the end-of-sequence token included where it was written.
        constraint: the constraint in words; empty without one.
    """

    tokens: tuple[TracedToken, ...]
    constraint: str = ""

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[TracedToken]:
        return iter(self.tokens)

    @property
    def text(self) -> str:
        """The texts of the tokens, joined."""
        return "".join(token.text for token in self.tokens)

    @property
    def forced(self) -> int:
        """How many tokens were forced."""
        return sum(token.is_forced for token in self.tokens)

    @property
    def overruled(self) -> int:
        """How often the model's own first choice was refused."""
        return sum(token.is_overruled for token in self.tokens)

    @property
    def removed_mass(self) -> float:
        """The sum over the tokens of the probability that was removed."""
        return math.fsum(token.removed_mass for token in self.tokens)

    @property
    def mean_removed_mass(self) -> float:
        """The probability that was removed at a token, on average."""
        return self.removed_mass / len(self.tokens) if self.tokens else 0.0

    @property
    def bits(self) -> float:
        """How strongly the constraint changed the text, in bits: −log2 of the product of the kept probabilities."""
        return math.fsum(-token.log_kept_mass for token in self.tokens) / math.log(2) + 0.0  # never -0.0

    @property
    def log_probability_before(self) -> float:
        """The natural logarithm of the probability that the model alone writes these tokens."""
        return math.fsum(token.log_probability_before for token in self.tokens)

    @property
    def log_probability_after(self) -> float:
        """The same under the constraint."""
        return math.fsum(token.log_probability_after for token in self.tokens)

    @property
    def value_probabilities(self) -> dict[str, float]:
        """How sure the model was of each string, number and literal of a JSON text, by JSON pointer.

        It is the product of the probabilities under the constraint of the tokens that are part of the value, where more
        than one token was allowed. A value that was forced has probability 1.
        """
        found: dict[str, float] = {}
        for token in self.tokens:
            for pointer in token.pointers:
                chance = token.log_probability_after if token.choices > 1 else 0.0
                found[pointer] = found.get(pointer, 0.0) + chance
        return {pointer: math.exp(min(sum_of_logs, 0.0)) for pointer, sum_of_logs in found.items()}

    def to_html(self) -> str:
        """One self-contained page: it needs no network and no other file."""
        from rellm._trace.page import page

        return page(self)

    def _repr_html_(self) -> str:
        from rellm._trace.page import notebook_frame

        return notebook_frame(self)

    def __str__(self) -> str:
        tokens = "1 token" if len(self.tokens) == 1 else f"{len(self.tokens)} tokens"
        return (
            f"{tokens}, {self.forced} forced; the model's first choice was {_times(self.overruled)}; "
            f"{self.mean_removed_mass:.1%} of the probability removed on average, {self.bits:.1f} bits in all"
        )


def trace_completion(
    model: Any,
    prompt_ids: Sequence[int],
    token_ids: Sequence[int],
    compiled: Any,
    *,
    vocabulary: Any = None,
    max_new_tokens: int | None = None,
    eos_token_ids: Sequence[int] | None = None,
    mask_of: Callable[[Any, list[int], int], npt.NDArray[np.bool_]] | None = None,
    best: int = 5,
) -> Trace:
    """Trace one completion.

    Args:
        model: the transformers model that wrote it.
        prompt_ids: the prompt without padding; not empty.
        token_ids: the written tokens, with the end-of-sequence token if there was one.
        compiled: what `rellm.compile` returned, or None if nothing constrained the model.
        vocabulary: the tokens' bytes; needed where `compiled` is None.
        max_new_tokens: the token budget that the mask kept to; None if there was none.
        eos_token_ids: the ids that end the text; by default the vocabulary's.
        mask_of: returns the mask that was applied, one boolean per logit, for a matcher, the tokens that it has read,
            and the number of logits; by default the matcher's mask within the budget.
        best: the most refused tokens that are listed for a step.

    Raises:
        TokenRejectedError: `token_ids` is not what `compiled` allows.
        RellmError: the model's logits at a token are not numbers.
    """
    vocabulary = compiled.vocabulary if compiled is not None else vocabulary
    logits = next_token_logits(model, prompt_ids, token_ids)
    matcher = None if compiled is None else compiled.matcher()
    ends = frozenset(vocabulary.eos_token_ids if eos_token_ids is None else eos_token_ids)
    steps = []
    place = _json_place(compiled)
    for i, token_id in enumerate(token_ids):
        left = None if max_new_tokens is None else max_new_tokens - i
        scores = logits[i].double().log_softmax(-1).cpu().numpy()
        if np.isnan(scores).any():
            raise RellmError(
                f"the model's logits at token {i} of the text are not numbers (NaN or infinite): nothing can be said "
                "of its choice; load the model in float32 or bfloat16, or leave trace=True out"
            )
        applied = None
        if matcher is not None and mask_of is not None:
            applied = mask_of(matcher, [int(one) for one in token_ids[:i]], len(scores))
        step = _step(scores, int(token_id), matcher, vocabulary, ends, left, best, applied)
        if place is not None and not step.is_end:
            pointers = tuple(place.read(vocabulary.token_bytes(int(token_id)) or b""))
            step = replace(step, pointers=pointers, path=place.pointer)
        steps.append(step)
        if matcher is not None and not (eos_token_ids is not None and int(token_id) in ends):
            matcher.advance(int(token_id))
    return Trace(tuple(steps), "" if compiled is None else in_words(compiled.constraint))


def next_token_logits(model: Any, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> torch.Tensor:
    """The model's logits where each of `token_ids` was chosen: `(len(token_ids), width)`, from one forward pass."""
    import torch

    prompt = torch.tensor([list(prompt_ids)], dtype=torch.long, device=model.device)
    written = torch.tensor([list(token_ids)], dtype=torch.long, device=model.device)
    count = len(token_ids)
    inputs: dict[str, Any]
    with torch.inference_mode():
        if model.config.is_encoder_decoder:
            start = model.generation_config.decoder_start_token_id
            if start is None:
                start = model.config.decoder_start_token_id
            begin = torch.tensor([[start]], dtype=torch.long, device=model.device)
            inputs = {"input_ids": prompt, "decoder_input_ids": torch.cat([begin, written[:, :-1]], dim=1)}
        else:
            inputs = {"input_ids": torch.cat([prompt, written[:, :-1]], dim=1)}
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            inputs["logits_to_keep"] = max(count, 1)
        logits: torch.Tensor = model(**inputs, use_cache=False).logits[0]
    return logits[len(logits) - count :]


def _step(
    scores: Floats,
    token_id: int,
    matcher: Any,
    vocabulary: Any,
    ends: frozenset[int],
    left: int | None,
    best: int,
    applied: npt.NDArray[np.bool_] | None = None,
) -> TracedToken:
    allowed = np.ones(len(scores), dtype=np.bool_)
    within = allowed
    if matcher is not None:
        within = _allowed(matcher, len(vocabulary), len(scores), left)
        allowed = within if applied is None else applied
    data = b"" if token_id in ends else vocabulary.token_bytes(token_id) or b""
    kept = _log_sum(scores[allowed]) if not allowed.all() else 0.0
    removed = scores[~allowed]
    refused = np.flatnonzero(~allowed)
    likeliest = refused[np.argsort(-removed, kind="stable")[:best]]
    forced = b"" if matcher is None else matcher.forced_bytes()
    return TracedToken(
        token_id=token_id,
        text=readable(data),
        log_probability_before=float(scores[token_id]),
        log_probability_after=float(scores[token_id]) - kept,
        removed_mass=min(float(np.exp(removed).sum()), 1.0),
        log_kept_mass=min(kept, 0.0),
        refused=tuple(
            _refused(int(other), math.exp(scores[other]), matcher, vocabulary, ends, left, bool(within[other]))
            for other in likeliest
            if scores[other] >= math.log(LEAST_PROBABILITY)
        ),
        is_overruled=not allowed[int(scores.argmax())],
        is_forced=bool(data) and forced.startswith(data),
        is_end=token_id in ends,
        choices=int(allowed.sum()),
    )


def _json_place(compiled: Any) -> Any:
    """Reads where a JSON text stands; None where the constraint is not one of JSON."""
    if compiled is None:
        return None
    from rellm._constraints.json_schema import JsonSchema
    from rellm._constraints.json_schema.json_place import JsonPlace

    return JsonPlace() if isinstance(compiled.constraint, JsonSchema) else None


def _allowed(matcher: Any, size: int, width: int, left: int | None) -> npt.NDArray[np.bool_]:
    """The mask that was applied, as wide as the model's logits: ids beyond the vocabulary are refused."""
    from rellm._generate.apply_mask import packed_words, unpacked
    from rellm._generate.token_budget import fill_mask_in_budget

    row = np.zeros((1, packed_words(max(size, width))), dtype=np.uint32)
    if left is None:
        matcher.fill_mask(row, 0)
    else:
        fill_mask_in_budget(matcher, row, 0, left)
    return unpacked(row[0], width)


def _refused(
    token_id: int,
    probability: float,
    matcher: Any,
    vocabulary: Any,
    ends: frozenset[int],
    left: int | None,
    is_within: bool = False,
) -> RefusedToken:
    data = b""
    if token_id < len(vocabulary) and token_id not in ends:
        data = vocabulary.token_bytes(token_id) or b""
    rejection = matcher.explain(token_id) if token_id < len(vocabulary) else None
    if token_id in ends and rejection is not None:
        reason = f"the text is not complete: expected {rejection.expected}"
    elif not data:
        return RefusedToken(token_id, "", probability, "a special token, which is never text")
    elif is_within:
        reason = "the run limits leave it out: too much of the same would stand in a row"
    elif rejection is None:
        reason = f"no match would fit into the {left} tokens that are left" if left is not None else "not allowed here"
    elif (start := _character_start(data, rejection.failed_at)) > 0:
        reason = (
            f"after its {readable(data[:start])!r}, {_character(data[start:])!r} cannot follow: "
            f"expected {rejection.expected}"
        )
    else:
        reason = f"expected {rejection.expected}"
    expected = rejection.expected if rejection is not None else ""
    return RefusedToken(token_id, readable(data), probability, reason, expected, token_id in ends)


def _character_start(data: bytes, index: int) -> int:
    """The start of the character that holds the byte at `index`; 0 where the rejection names no byte."""
    if index >= len(data):
        return 0
    while index > 0 and data[index] & 0xC0 == 0x80:
        index -= 1
    return index


def _character(data: bytes) -> str:
    """The first character, or its bytes if it is cut off."""
    return readable(data)[:1] if data[0] < 0x80 else readable(data[: max(1, 8 - (data[0] ^ 0xFF).bit_length())])


def readable(data: bytes) -> str:
    """Bytes as text; bytes that are not UTF-8 as `\\xNN`."""
    return data.decode("utf-8", "backslashreplace")


def _times(refused: int) -> str:
    return {0: "never refused", 1: "refused once"}.get(refused, f"refused {refused} times")


def in_words(constraint: Any) -> str:
    """A constraint as a person would write it: a pattern by its source, others as Python."""
    pattern = getattr(constraint, "pattern", None)
    return pattern if isinstance(pattern, str) else repr(constraint)


def _log_sum(scores: Floats) -> float:
    """log Σ exp, from 64-bit floats."""
    if not scores.size:
        return -math.inf
    top = float(scores.max())
    return top + math.log(float(np.exp(scores - top).sum()))
