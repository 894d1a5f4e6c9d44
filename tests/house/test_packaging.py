"""What is shipped: metadata, names, locks, the ancestor's module paths, and what users type against."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
sys.path.insert(0, str(ROOT / "dev"))


def test_the_version_has_one_source():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    for crate in ("core", "python"):
        cargo = tomllib.loads((ROOT / "crates" / crate / "Cargo.toml").read_text(encoding="utf-8"))
        assert cargo["package"]["version"] == {"workspace": True}


def test_extras_name_the_distribution_and_not_the_ancestor():
    name = PROJECT["project"]["name"]
    assert name == "rellm-masks"
    for requirements in PROJECT["project"]["optional-dependencies"].values():
        assert not any(re.match(r"rellm\b(?!-masks)", requirement) for requirement in requirements)


def test_links_of_the_readme_are_absolute_on_the_index_and_lead_to_files():
    import release_metadata

    text = release_metadata.absolute((ROOT / "README.md").read_text(encoding="utf-8"), "https://host.test/o/n", "v1")
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S))
    assert len(targets) > 10
    assert all(target.startswith("https://") for target in targets)
    own = [target.partition("/v1/")[2] for target in targets if target.startswith("https://host.test/")]
    assert all((ROOT / path.partition("#")[0]).exists() for path in own)
    assert "![The trace of a completion](https://host.test/o/n/raw/v1/docs/trace-light.png)" in text


def test_addresses_are_added_where_a_release_is_built():
    import release_metadata

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    made = tomllib.loads(release_metadata.with_addresses(text, "https://host.test/o/n", "v1"))
    assert made["project"]["urls"]["Changelog"] == "https://host.test/o/n/blob/v1/CHANGELOG.md"
    assert made["project"]["optional-dependencies"] == PROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("path", sorted((ROOT / "dev" / "locks").iterdir()), ids=lambda path: path.name)
def test_a_lock_has_hashes_and_no_address(path):
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert len(re.findall(r'sha256:[0-9a-f]{64}|checksum = "[0-9a-f]{64}"', text)) > 50


def test_locked_requirements_are_those_of_the_project():
    import set_up
    from packaging.requirements import Requirement

    pinned = dict(re.findall(r"^([\w.-]+)==(\S+?)(?: ;.*)? \\$", (ROOT / "dev/locks/dev.txt").read_text(), re.M))
    wanted = [
        *PROJECT["project"]["dependencies"], *set_up.extra(PROJECT, "all"), *PROJECT["dependency-groups"]["dev"]
    ]  # fmt: skip
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), (
            f"{requirement}: python dev/locks.py write"
        )


@pytest.mark.parametrize(
    ("module", "name"),
    [("rellm.rellm", "complete_re"), ("rellm.re_token_filter", "ReTokenFilter"), ("rellm.logits_mask", "LogitsMask")],
)
def test_the_ancestors_module_paths_work_and_warn(module, name):
    code = (
        f"import warnings; warnings.simplefilter('error')\n"
        f"try:\n    import {module}\nexcept DeprecationWarning as error:\n    print(error)\n"
        f"warnings.simplefilter('ignore')\nimport rellm, {module}\nassert {module}.{name} is rellm.{name}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"from rellm import {name}" in done.stdout


def test_the_ancestor_beside_the_library_is_told(tmp_path):
    import rellm

    (tmp_path / "rellm").symlink_to(Path(rellm.__file__).parent)
    (tmp_path / "rellm-0.0.5.dist-info").mkdir()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import rellm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ReLLM 0.0.5 is installed beside this library" in done.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subprocess.run([sys.executable, "-W", "error", "-c", "import rellm"], check=True)


def test_wheels_of_this_machine_are_told_from_others():
    import downloads

    def fits(wheel):
        return downloads.fits(wheel, (3, 12, 1), "linux", "x86_64")

    assert fits("torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl")
    assert fits("rellm_masks-1.0.0-cp311-abi3-manylinux_2_28_x86_64.whl")
    assert fits("lark-1.3.1-py3-none-any.whl")
    assert not fits("torch-2.15.0-cp313-cp313-manylinux_2_28_x86_64.whl")
    assert not fits("torch-2.15.0-cp312-cp312-manylinux_2_28_aarch64.whl")
    assert not fits("torch-2.15.0-cp312-none-macosx_11_0_arm64.whl")
    assert not fits("x-1.0-cp314-abi3-manylinux_2_28_x86_64.whl")


def test_how_much_is_fetched_is_said_in_words():
    import downloads

    package = {"name": "torch", "wheels": [
        {"url": "https://host.test/torch-2-py3-none-any.whl", "size": 2_500_000_000},
        {"url": "https://host.test/torch-2-cp27-cp27-win32.whl", "size": 9},
    ]}  # fmt: skip
    assert downloads.wheel_size(package) == 2_500_000_000
    assert downloads.in_words({"torch": 2_500_000_000, "rich": 300_000}) == (
        "2 packages, 2.5 GB at most (the largest: torch 2.5 GB, rich 300 kB)"
    )


@pytest.mark.parametrize(
    ("has_gpu", "answers", "chosen"), [(False, True, True), (False, False, False), (True, True, False)]
)
def test_torch_comes_from_its_own_index_only_without_a_gpu_and_where_it_answers(monkeypatch, has_gpu, answers, chosen):
    import downloads

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(downloads, "has_gpu", lambda: has_gpu)
    monkeypatch.setattr(downloads, "answers", lambda url: answers)
    assert downloads.torch_index() == (downloads.CPU_TORCH if chosen else None)
