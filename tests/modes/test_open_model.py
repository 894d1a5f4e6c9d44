"""Models by name: what `Generator.from_pretrained` and `--model` take, and what they say where there is none."""

from __future__ import annotations

import pytest
import rellm

pytest.importorskip("transformers")

from families import family as family_of
from rellm._generate import open_model as opened


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    for family in map(family_of, ("gpt2", "t5")):
        family.model.save_pretrained(place / family.name)
        family.tokenizer.save_pretrained(place / family.name)
    return place


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_a_folder_is_loaded_whatever_its_architecture(folders, name):
    generator = rellm.Generator.from_pretrained(folders / name)
    assert generator.model.config.model_type == name
    assert not generator.model.training
    assert generator("A number: ", r"\d{3}", max_new_tokens=20).text.isdigit()


def test_arguments_reach_transformers(folders):
    import torch

    generator = rellm.Generator.from_pretrained(str(folders / "gpt2"), dtype=torch.bfloat16, prefix_cache=True)
    assert generator.model.dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/no/such", "there is no folder /no/such: a model is a folder with config.json and weights, a .gguf file, a "
                     "name on the hub, or the word smollm2"),
        ("./owner/name", "there is no folder owner/name: "),
        ("no.gguf", "there is no file no.gguf"),
    ],
)  # fmt: skip
def test_a_path_without_a_model_is_told(name, words):
    with pytest.raises(rellm.RellmError) as caught:
        rellm.Generator.from_pretrained(name)
    assert words in str(caught.value)


def test_a_folder_and_a_file_that_are_no_model_are_told(tmp_path):
    with pytest.raises(rellm.RellmError, match=r"has no config\.json"):
        opened.found_model(tmp_path)
    (tmp_path / "weights").write_text("")
    with pytest.raises(rellm.RellmError, match="is a file: a model is a folder"):
        opened.found_model(tmp_path / "weights")


def test_a_name_that_neither_cache_nor_hub_has_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(rellm.RellmError, match="the hub was not asked, since HF_HUB_OFFLINE is set"):
        rellm.Generator.from_pretrained("owner/name", cache_dir=tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert "transformers said: no such repository" in opened._not_found("owner/name", OSError("no such repository\n…"))
