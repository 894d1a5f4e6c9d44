"""Models for the commands that write: loaded from a folder, a GGUF file, or the demonstration's own."""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import rellm
from rellm._cli.requested import requested_constraint
from rellm._cli.terminal import Terminal, stdin_text
from rellm._constraints.base import Constraint, lone_surrogate
from rellm._demo_model import model_folder
from rellm._engines.compile import over_single_bytes
from rellm._errors import RellmError

_EXTRA = "install this package with its extra [transformers]"


def load_generator(name: str, terminal: Terminal) -> Any:
    """A `Generator` for a folder, a `.gguf` file, or "smollm2"."""
    _be_quiet()
    path = find_model(name, terminal)
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise RellmError(f"this command runs a model, and {error.name} is not installed: {_EXTRA}") from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    arguments: dict[str, Any] = {"pretrained_model_name_or_path": str(path)}
    if path.suffix == ".gguf":
        arguments = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    with terminal.busy(f"loading {path.name}"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(**arguments)
        model = _model_class(arguments).from_pretrained(**arguments)
        model.eval()
        return rellm.Generator(model, tokenizer)


def find_model(name: str, terminal: Terminal) -> Path:
    """The folder or GGUF file that `name` means."""
    if name == "smollm2":
        _be_quiet()
        with terminal.busy("preparing the demonstration's model (once)"):
            return model_folder()
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise RellmError(f"there is no file {path}")
    elif not path.is_dir():
        raise RellmError(
            f"{name} is not a folder: --model takes a folder with a transformers model (config.json and weights), "
            "a .gguf file, or the word smollm2"
        )
    elif not (path / "config.json").is_file():
        raise RellmError(f"{path} has no config.json: it is not the folder of a transformers model")
    return path


def _model_class(arguments: dict[str, Any]) -> Any:
    import transformers

    config = transformers.AutoConfig.from_pretrained(**arguments)
    return transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM


def generation_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line says about sampling, as arguments for a `Generator`."""
    given = {
        name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(arguments, name)) is not None
    }
    sampled = bool(given) or arguments.seed is not None
    if arguments.seed is not None:
        import torch

        torch.manual_seed(arguments.seed)
    return {"max_new_tokens": arguments.max_new_tokens, "do_sample": sampled, **given}


def constraint_of(arguments: argparse.Namespace) -> Constraint:
    """The constraint, tried out before a model is loaded: what is wrong with it is told at once."""
    constraint = requested_constraint(arguments, arguments.regex, "--regex")
    over_single_bytes(constraint)
    return constraint


def prompt_of(arguments: argparse.Namespace) -> Any:
    text = stdin_text() if arguments.prompt == "-" else arguments.prompt
    surrogate = lone_surrogate(text, escapes=False)
    if surrogate is not None:
        raise ValueError(f"the prompt is not UTF-8 text: it holds {surrogate}")
    return [{"role": "user", "content": text}] if arguments.chat else text


def _be_quiet() -> None:
    """What the libraries below print about themselves does not belong on a user's terminal."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(transformers|torch)(\..*)?")
