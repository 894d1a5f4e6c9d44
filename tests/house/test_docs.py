"""The documentation site is true: every Python block of its pages runs, in order, in one namespace a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
# A block that cannot run here stands below `<!-- not run: reason -->`, which a reader of the source sees.
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?^```python[^\n]*\n(?P<code>.*?)^```", re.S | re.M)


def blocks(page):
    text = page.read_text(encoding="utf-8")
    return [
        ("\n" * text.count("\n", 0, found.start("code")) + found["code"], found["reason"])
        for found in BLOCK.finditer(text)
        # A file of the project has tests of its own, and test_search_partial.py runs the doctests of its page.
        if "--8<--" not in found["code"] and not found["code"].startswith(">>>")
    ]


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if blocks(page)]


@pytest.fixture(scope="module")
def small_models():
    """What pages load as "smollm2": that model on the first page, a quick one of its tokenizer on others.

    Weights at random are the harder case: such a model wants nothing that a constraint allows. What a page asserts is
    promised for every model.
    """
    transformers = pytest.importorskip("transformers")
    import real_model

    tokenizer = transformers.AutoTokenizer.from_pretrained(real_model.folder())
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval(), tokenizer


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch, small_models):
    monkeypatch.chdir(tmp_path)
    if page.name != "index.md" or page.parent != DOCS:
        monkeypatch.setattr("rellm._generate.generator.open_model", lambda name: small_models)
    namespace = {"__name__": "__main__"}
    for code, reason in blocks(page):
        if reason is None:
            exec(compile(code, str(page), "exec", dont_inherit=True), namespace)


NAMES = re.compile(r"^::: (\S+)$", re.M)


def test_every_public_name_is_in_the_reference_with_an_example():
    import rellm
    from rellm import batches, testing, types
    from rellm.integrations import langchain, transformers

    wanted = {f"rellm.{name}" for name in rellm.__all__ if name != "__version__"} | {"rellm.types"}
    for module in (testing, batches, langchain, transformers):
        wanted |= {f"{module.__name__}.{name}" for name in module.__all__ if name != "COLUMNS"}
    found = {}
    for page in (DOCS / "reference").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for names, code in re.findall(r"((?:^::: \S+\n\n?)+)^```python\n(.*?)^```", text, re.S | re.M):
            for name in NAMES.findall(names):
                assert name not in found, f"{name} stands twice"
                found[name] = code
        assert set(NAMES.findall(text)) <= set(found), f"{page.name}: a name without an example"
    assert wanted <= set(found)
    for name, code in found.items():
        short = name.rpartition(".")[2]
        assert short in code or name == "rellm.RellmError", f"the example of {name} does not use it"
    every_type = found["rellm.types"]
    assert all(f"types.{name}" in every_type for name in types.__all__)


def test_blocks_are_found():
    assert any(page.name == "index.md" for page in PAGES)
