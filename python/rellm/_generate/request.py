"""One call of a `Generator` with its arguments resolved; immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rellm._errors import BudgetError
from rellm._generate.canonical import CanonicalTokens
from rellm._generate.chat_turn import chat_turn
from rellm._generate.compiled_for_width import CompiledForWidth
from rellm._generate.drafts import ForcedText
from rellm._generate.generation_settings import GenerationSettings
from rellm._generate.instructions import with_instructions
from rellm._generate.prefix_cache import PrefixCache
from rellm._generate.prompt_boundary import heal_prompts
from rellm._generate.prompts import EncodedPrompts, PromptOptions, encode_prompts, goes_on, is_chat, split_prompts
from rellm._generate.run_limits import RunLimits
from rellm._generate.stop_strings import stop_strings
from rellm._generate.text_state import EndRules, text_bytes
from rellm._generate.token_budget import check_budget
from rellm._generate.transformers_quirks import prepares_as_usual, takes_positions, writes_token_by_token
from rellm._vocabulary import Vocabulary

ForcedTextMode = Literal["verified", "forced", "off"]
Tokenisation = Literal["any", "canonical"]


@dataclass
class Writer:
    """A model with its tokenizer, and the caches that live between calls.

    Attributes:
        model: a transformers model.
        tokenizer: as it was passed.
        own_tokenizer: a private copy of it, without padding and truncation.
        vocabulary: the tokenizer's.
        forced_text: finds forced text, as tokens of this tokenizer.
        prefixes: the cache of the last text; None if none is kept.
        is_plain_only: whether our own loops cannot verify the model's cache, so that transformers' own loop writes.
    """

    model: Any
    tokenizer: Any
    own_tokenizer: Any
    vocabulary: Vocabulary
    forced_text: ForcedText
    prefixes: PrefixCache | None = None
    is_plain_only: bool = False

    @property
    def has_encoder(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)


@dataclass(frozen=True)
class Request:
    """One resolved call.

    Attributes:
        writer: the model.
        prompts: the prompts as tokens.
        compiled: the constraint of each prompt, or None.
        settings: the settings of `generate`; `max_new_tokens` there counts forced first and last tokens, too.
        arguments: the further arguments of `generate`.
        rules: the rules that end the texts.
        max_new_tokens: the budget of each text, within the rest of the model's context.
        lead: how many tokens `generate` forces before the texts.
        returns: how many texts each prompt gets.
        run_limits: limits on runs of whitespace and of one repeated token.
        forced_text: what to do where the constraint leaves one continuation.
        traces: whether completions get a trace.
        tokenisation: whether texts may be cut into tokens in any way, or as the tokenizer cuts them.
    """

    writer: Writer
    prompts: EncodedPrompts
    compiled: CompiledForWidth
    settings: GenerationSettings
    arguments: Mapping[str, Any]
    rules: EndRules
    max_new_tokens: int
    lead: int
    returns: int
    run_limits: RunLimits
    forced_text: ForcedTextMode
    traces: bool
    tokenisation: Tokenisation = "any"

    @classmethod
    def of(
        cls,
        writer: Writer,
        prompt: Any,
        constraint: Any,
        max_new_tokens: int | None,
        stop: str | Sequence[str] | None,
        stop_after_match: bool,
        forced_text: ForcedTextMode,
        trace: bool,
        run_limits: RunLimits | None,
        generate_kwargs: dict[str, Any],
    ) -> Request:
        """The request of these arguments of `Generator.__call__`.

        Raises:
            BudgetError: no match fits into the budget.
            ValueError, TypeError: an argument is wrong, or cannot be served.
        """
        if forced_text not in ("verified", "forced", "off"):
            raise ValueError(f'forced_text is {forced_text!r}: it is "verified", "forced" or "off"')
        model, vocabulary = writer.model, writer.vocabulary
        stops = stop_strings(stop)
        rest = dict(generate_kwargs)
        tokenisation = rest.pop("tokenisation", "any")
        if tokenisation not in ("any", "canonical"):
            raise ValueError(f'tokenisation is {tokenisation!r}: it is "any" or "canonical"')
        token_healing, leading_space = _heals(model, rest), _switch(rest.pop("leading_space", False), "leading_space")
        limits = RunLimits.of(run_limits, rest.pop("max_whitespace", None), rest.pop("max_repetition", None))
        prompt = with_instructions(writer.tokenizer, prompt, constraint, rest.pop("instructions", False))
        prompt, constraint = chat_turn(writer.tokenizer, prompt, constraint, rest, max_new_tokens)
        options = PromptOptions.taken_from(rest)
        inputs = rest.pop("inputs", None)
        if inputs is not None:
            if prompt is not None:
                raise TypeError("inputs= stands in place of a prompt: pass one of them")
            prompt = inputs
        prompts, is_single = split_prompts(prompt)
        settings = GenerationSettings.resolved(model, writer.tokenizer, vocabulary, max_new_tokens, rest)
        config = settings.config
        encoded = encode_prompts(
            prompts, is_single, writer.own_tokenizer, model, config.pad_token_id, options,
            writer.tokenizer if hasattr(writer.tokenizer, "apply_chat_template") else None,
        )  # fmt: skip
        constraints = _one_each(constraint, encoded.input_ids.shape[0])
        taken_back = 0
        if token_healing or leading_space:
            encoded, constraints, taken_back = heal_prompts(
                encoded, constraints, vocabulary, writer.forced_text.prefixes,
                token_healing=token_healing, leading_space=leading_space, pad=config.pad_token_id,
                has_encoder=writer.has_encoder,
                is_begun=[not is_chat(one) or goes_on(one, options) for one in prompts],
            )  # fmt: skip
        arguments = {**encoded.others, **settings.arguments}
        length = encoded.input_ids.shape[1]
        if writer.has_encoder:
            begun = arguments.get("decoder_input_ids")
            length = 1 if begun is None else len(begun[0])
        lead, forced_last = settings.forced_ends(length)
        # The tokens that were taken back from the prompt are written again, and do not count for the caller.
        asked_for = settings.budget + taken_back
        budget = asked_for if writer.has_encoder else _within_context(model, encoded, asked_for)
        compiled = CompiledForWidth(constraints, vocabulary)
        for number, one in enumerate(compiled.compiled):
            if one is not None:
                _check_budget(one, budget, asked_for, encoded, number)
        # `generate` counts forced tokens as new ones; the caller's budget does not.
        config.max_new_tokens = budget + lead + forced_last
        pad = config.pad_token_id
        rules = EndRules(
            eos=frozenset(config.eos_token_id or ()),
            stops=stops,
            at_first_match=stop_after_match,
            where_nothing_follows=True,
            pad=None if text_bytes(vocabulary, pad) else pad,
            vocabulary=vocabulary,
        )
        return cls(
            writer, encoded, compiled, settings, arguments, rules, budget, lead, config.num_return_sequences or 1,
            limits, forced_text, trace, tokenisation,
        )  # fmt: skip

    def canonical_tokens(self) -> CanonicalTokens | None:
        """The filter for canonical tokens; None where any tokens may be written."""
        if self.tokenisation == "any":
            return None
        beams = self.settings.get("num_beams") or 1
        return CanonicalTokens(
            self.writer.own_tokenizer, self.writer.vocabulary, candidates=2 * beams if beams > 1 else 1,
            samples=bool(self.settings.get("do_sample")),
        )  # fmt: skip

    @property
    def is_token_by_token(self) -> bool:
        """Whether `generate` would write one token a row and step, with a cache that grows."""
        plain = ("past_key_values", "cache", "inputs_embeds", "assistant_model", "custom_generate", "synced_gpus",
                 "input_ids")  # fmt: skip
        get = self.settings.get
        return (
            writes_token_by_token(self.settings.config, self.settings.own)
            and not any(self.arguments.get(name) is not None for name in plain)
            and get("stop_strings") is None
            and get("cache_implementation") in (None, "dynamic")
            and get("prefill_chunk_size") is None
        )

    @property
    def is_one_row(self) -> bool:
        """Whether this call is one row, written token by token: then our own loop writes it, with drafts."""
        return self.prompts.input_ids.shape[0] * self.returns == 1 and self.is_token_by_token

    @property
    def is_batch_of_rows(self) -> bool:
        """Whether this call is several such rows, of a model that takes positions, and nothing depends on all rows at
        once. Sampling takes this loop also without drafts, because each row has its own random numbers there."""
        get = self.settings.get
        return (
            (self.forced_text != "off" or bool(get("do_sample")))
            and any(one is not None for one in self.compiled.compiled)
            and not self.writer.has_encoder
            and not self.lead
            and not self.arguments
            and self.is_token_by_token
            and get("use_cache") is not False
            and not get("guidance_scale")
            # Our loop ends rows where no token can follow, without these settings; the plain loop checks them.
            and not get("min_new_tokens")
            and not get("min_length")
            and takes_positions(self.writer.model)
            and prepares_as_usual(self.writer.model)
        )


def _heals(model: Any, rest: dict[str, Any]) -> bool:
    """Whether the call, its `generation_config` or the model's own asks for token healing."""
    asked = rest.pop("token_healing", None)
    for config in (rest.get("generation_config"), model.generation_config):
        asked = getattr(config, "token_healing", None) if asked is None else asked
    return _switch(asked or False, "token_healing")


def _switch(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r:.60}")
    return value


def _one_each(constraint: Any, prompts: int) -> list[Any]:
    """The constraint of each prompt."""
    if not isinstance(constraint, (list, tuple)):
        return [constraint] * prompts
    if len(constraint) != prompts:
        raise ValueError(
            f"{len(constraint)} constraints for {prompts} prompts: pass one for all, or a list of one each; "
            "for one of several patterns join them with | in one pattern, or use rellm.Choice"
        )
    return list(constraint)


def _within_context(model: Any, prompts: EncodedPrompts, budget: int) -> int:
    """The budget within the context, which a decoder's prompt and text share."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    length = int(prompts.input_ids.shape[1])
    if not isinstance(context, int) or context <= 0:
        return budget
    if length >= context:
        raise ValueError(
            f"the prompt has {length} tokens, but the model's context holds {context}, prompt and text together: "
            "shorten the prompt"
        )
    return min(budget, context - length)


def _check_budget(compiled: Any, budget: int, asked_for: int, prompts: EncodedPrompts, number: int) -> None:
    """Raise `BudgetError` if no match fits, and name the context if it is the reason."""
    try:
        check_budget(compiled.matcher(), budget)
    except BudgetError as error:
        if budget == asked_for:
            raise
        longest = prompts.input_ids.shape[1]
        length = prompts.lengths[number] if prompts.lengths else longest
        which = "the prompt" if prompts.input_ids.shape[0] == 1 else f"prompt {number}"
        padded = f" (padded to {longest}, the longest of the batch)" if length < longest else ""
        raise BudgetError(
            f"no match fits into the model's context: {which} has {length} tokens{padded} of the context's "
            f"{longest + budget}, which leaves {budget} of max_new_tokens="
            f"{asked_for}, and the shortest match takes {error.needed}: shorten the prompt",
            needed=error.needed,
        ) from None
