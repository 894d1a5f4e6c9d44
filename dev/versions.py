"""Runs the modes and end-to-end tests on the lowest and the newest versions that pip resolves.

The environment of the tests is pinned, and users get other versions: the newest of everything, or the oldest that
pyproject.toml allows. Each set is a folder in front of the environment's packages that holds only what differs, so that
torch is there once. Options: `--only lowest`, and after `--` anything for pytest.
"""

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "dev"))
import set_up  # noqa: E402

FOLDER = ROOT / "build" / "versions"
# What is overlaid; everything else is the environment's. Their floors are what pyproject.toml says, or the packages.
OVERLAID = ["transformers", "tokenizers", "huggingface-hub", "accelerate", "regex", "langchain-core",
            "langchain-huggingface", "gguf", "peft", "typer-slim", "lark"]  # fmt: skip
SETS = {"lowest": "lowest-direct", "newest": "highest"}
# One test of each thing that leans on another library, as pytest's -k names them: each mode on one family and each
# family in one mode, the real model with 8 prompts in all ways to call, and LangChain from the question to the answer.
PICKED = {
    "tests/modes/test_key_value_cache.py": "test",
    "tests/modes/test_forced_text_real.py": "test",
    "tests/modes/test_batches.py": "gpt2 or alone or leave or processors",
    "tests/modes/test_generator.py": "not (llama or gemma or qwen2)",
    "tests/modes/test_modes.py": "(gpt2 or greedy) and not (smollm2 or compiled)",
    "tests/integrations/test_langchain.py": (
        "padded_passes or by_piece or (seeds_question and (invoke or astream)) or dumped"
    ),
    "tests/vocabulary/test_vocabulary.py": (
        "joined_bytes or every_token or special_tokens or slow_tokenizer or decoder or behind"
    ),
    "tests/engines/test_search.py": "not (lose_no_token or testing_every_token)",
}
PICK = ["-k", " or ".join(f"({Path(file).stem} and ({names}))" for file, names in PICKED.items())]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SETS)
    parser.add_argument("pytest", nargs="*")
    options = parser.parse_args()
    failed = []
    for name in [options.only] if options.only else SETS:
        start = time.monotonic()
        overlay = prepare(name)
        print(f"==> {name}: " + ", ".join(sorted(versions(overlay))), flush=True)
        if run_tests(overlay, options.pytest or [*PICKED, *PICK]):
            failed.append(name)
        print(f"==> {name}: {time.monotonic() - start:.0f} s", flush=True)
    if failed:
        sys.exit(f"the tests fail on the {' and the '.join(failed)} versions")


def prepare(name):
    """The folder of a set, made anew where the resolver says something else than last time."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + set_up.extra(project, "all") + ["tokenizers"]
    wanted = [one for one in wanted if not one.startswith(("torch", "numpy"))]
    fixed = [f"{one}=={importlib.metadata.version(one)}" for one in ("torch", "numpy")]
    pins = resolve(wanted + fixed, SETS[name])
    pins = [pin for pin in pins if pin.partition("==")[0] in OVERLAID and not is_installed(pin)]
    overlay, stamp = FOLDER / name, FOLDER / f"{name}.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != "\n".join(pins):
        shutil.rmtree(overlay, ignore_errors=True)
        overlay.mkdir(parents=True)
        if pins:
            uv("pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--target", overlay, *pins)
        stamp.write_text("\n".join(pins), encoding="utf-8")
    return overlay


def resolve(wanted, resolution):
    FOLDER.mkdir(parents=True, exist_ok=True)
    source = FOLDER / "wanted.in"
    source.write_text("\n".join(wanted), encoding="utf-8")
    found = uv("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--resolution", resolution, "--python",
               sys.executable, source)  # fmt: skip
    return [line for line in found.splitlines() if "==" in line]


def uv(*arguments):
    """uv, with pip's own index and certificates."""
    command = set_up.installed_uv() or [set_up.PYTHON.parent / "uv"]
    set_up.use_settings_of_pip()
    return subprocess.run(
        [str(one) for one in (*command, *arguments)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def is_installed(pin):
    name, _, version = pin.partition("==")
    try:
        return importlib.metadata.version(name) == version
    except importlib.metadata.PackageNotFoundError:
        return False


def versions(overlay):
    return [f"{one.name} {one.version}" for one in importlib.metadata.distributions(path=[str(overlay)])]


def run_tests(overlay, arguments):
    environment = {**os.environ, "PYTHONPATH": str(overlay), "RELLM_REAL_PROMPTS": "8", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=12", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    main()
