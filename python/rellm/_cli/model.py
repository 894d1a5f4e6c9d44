"""Reads the arguments of the commands that generate text: model, constraint, prompt, and sampling."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import rellm
from rellm._cli.requested import requested_constraint
from rellm._cli.terminal import Terminal, stdin_text
from rellm._constraints.base import Constraint, lone_surrogate
from rellm._engines.compile import over_single_bytes
from rellm._errors import RellmError
from rellm._generate.open_model import DEMONSTRATION, found_model


def load_generator(name: str, terminal: Terminal) -> Any:
    """A `Generator` for the model that --model names."""
    _be_quiet()
    path = find_model(name, terminal)
    with terminal.busy(f"loading {path.name if isinstance(path, Path) else path}"):
        return rellm.Generator.from_pretrained(path)


def find_model(name: str, terminal: Terminal) -> Path | str:
    """The folder, GGUF file, or name for the hub that `name` means."""
    if name != DEMONSTRATION:
        return found_model(name)
    _be_quiet()
    with terminal.busy("preparing the demonstration's model (once)"):
        return found_model(name)


def generation_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """The command line's sampling options as arguments for a `Generator`."""
    given = {
        name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(arguments, name)) is not None
    }
    # Temperature 0 means greedy decoding, so the other sampling options have no effect.
    is_greedy = given.get("temperature") == 0
    sampled = not is_greedy and (bool(given) or arguments.seed is not None)
    if arguments.seed is not None:
        import torch

        torch.manual_seed(arguments.seed)
    return {"max_new_tokens": arguments.max_new_tokens, "do_sample": sampled, **(given if sampled else {})}


def constraint_of(arguments: argparse.Namespace) -> Constraint:
    """The constraint, validated before a model is loaded: errors in it are reported at once."""
    constraint = requested_constraint(arguments, arguments.regex, "--regex")
    over_single_bytes(constraint)
    return constraint


def prompt_of(arguments: argparse.Namespace) -> Any:
    text = _prompt_text(arguments)
    surrogate = lone_surrogate(text, escapes=False)
    if surrogate is not None:
        raise ValueError(f"the prompt is not UTF-8 text: it holds {surrogate}")
    return [{"role": "user", "content": text}] if arguments.chat else text


def _prompt_text(arguments: argparse.Namespace) -> str:
    if arguments.prompt_file is not None:
        if arguments.prompt is not None:
            raise RellmError("give PROMPT or --prompt-file FILE, not both")
        path = Path(arguments.prompt_file)
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n")
        except UnicodeDecodeError as error:
            raise RellmError(
                f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
            ) from None
    if arguments.prompt is None and sys.stdin.isatty():
        raise RellmError("there is no prompt: give PROMPT, --prompt-file FILE, or the prompt on stdin")
    return stdin_text() if arguments.prompt in (None, "-") else str(arguments.prompt)


def _be_quiet() -> None:
    """Silences the messages that the libraries below print on the user's terminal."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(transformers|torch)(\..*)?")
    with suppress(ModuleNotFoundError):  # the code that needs it reports it
        import transformers

        transformers.utils.logging.set_verbosity_error()
        # A model's download shows a progress bar; loading its weights does not.
        transformers.utils.logging.disable_progress_bar()
