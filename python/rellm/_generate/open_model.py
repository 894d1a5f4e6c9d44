"""A model and its tokenizer by name: a folder, a GGUF file, a name that transformers finds, or the demonstration's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rellm._errors import RellmError

DEMONSTRATION = "smollm2"
"""The word for the demonstration's model, SmolLM2-135M-Instruct."""

_MODELS = (
    f"a model is a folder with config.json and weights, a .gguf file, a name on the hub, or the word {DEMONSTRATION}"
)

# Arguments of `from_pretrained` that locate a model, and therefore its tokenizer as well.
_FOR_BOTH = {"cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token", "trust_remote_code"}


def found_model(name: str | os.PathLike[str]) -> Path | str:
    """Resolves `name` to a folder, a `.gguf` file, or a name for the hub and its cache.

    Raises:
        RellmError: it is a path without a model; the message names the missing file.
    """
    if name == DEMONSTRATION:
        from rellm._demo_model import model_folder

        return model_folder()
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise RellmError(f"there is no file {path}")
        return path
    if path.is_dir():
        if not any((path / config).is_file() for config in ("config.json", "adapter_config.json")):
            raise RellmError(f"{path} has no config.json: it is not the folder of a transformers model")
        return path
    if path.exists():
        raise RellmError(f"{path} is a file: {_MODELS}")
    text = os.fspath(name)
    # A name on the hub is "name" or "owner/name"; any other name that does not exist is a mistyped path.
    if not isinstance(name, str) or text.startswith((".", "~", "/")) or text.count("/") > 1 or "\\" in text:
        raise RellmError(f"there is no folder {path}: {_MODELS}")
    return text


def open_model(name: str | os.PathLike[str], **arguments: Any) -> tuple[Any, Any]:
    """Load a model and its tokenizer with transformers.

    Args:
        name: what `found_model` reads.
        **arguments: for `from_pretrained` of the model; those that say where it is found hold for the tokenizer too.

    Returns:
        The model, in evaluation mode, and the tokenizer.

    Raises:
        RellmError: there is no such model here, or transformers is missing.
    """
    found = found_model(name)
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise RellmError(
            f"a model is loaded with transformers, and {error.name} is not installed: "
            "install this package with its extra [transformers]"
        ) from error
    where: dict[str, Any] = {name: value for name, value in arguments.items() if name in _FOR_BOTH}
    source = str(found)
    if isinstance(found, Path) and found.suffix == ".gguf":
        source, where["gguf_file"] = str(found.parent), found.name
    try:
        kind: Any = transformers.AutoModelForCausalLM
        # A folder with only an adapter has no configuration: the adapter names the model to load.
        if not isinstance(found, Path) or found.suffix == ".gguf" or (found / "config.json").is_file():
            config = transformers.AutoConfig.from_pretrained(source, **where)
            kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else kind
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **where)
        model = kind.from_pretrained(source, **{**arguments, **where})
    except OSError as error:
        if isinstance(found, Path):
            raise
        raise RellmError(_not_found(found, error)) from error
    return model.eval(), tokenizer


def _not_found(name: str, error: OSError) -> str:
    """The message for a name that was not loaded: the reason and the remedy."""
    offline = os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "on", "yes", "true")
    why = (
        "the hub was not asked, since HF_HUB_OFFLINE is set (unset it)"
        if offline
        else "transformers said: " + str(error).strip().splitlines()[0]
    )
    return f"{name} is no folder here, and no model in the cache of the hub; {why}; {_MODELS}"
