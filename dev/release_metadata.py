"""Makes a checkout ready for the package index: absolute links in README.md, and the project's addresses.

    python dev/release_metadata.py https://host/owner/name v1.0.0

The address of the repository is known where a release is built, and stands nowhere else: README's links are relative,
as the repository shows them, and the index, which knows no repository, gets absolute ones. It
changes the files in place.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# In Markdown, a link or picture whose target is a path of the repository.
LINK = re.compile(r"(?P<picture>!?)(?P<label>\[[^\]\n]*\])\((?!https?://|#|mailto:)(?P<target>[^)\s]+)\)")


def absolute(text: str, repository: str, revision: str) -> str:
    """README's text with absolute links: pages as the host shows them, pictures as files."""

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}{found['label']}({repository}/{kind}/{revision}/{found['target']})"

    return LINK.sub(link, text)


def with_addresses(project: str, repository: str, revision: str) -> str:
    """pyproject.toml's text with `[project.urls]`."""
    if "[project.urls]" in project:
        raise ValueError("pyproject.toml has addresses already")
    urls = {
        "Source": repository,
        "Documentation": f"{repository}/tree/{revision}/docs",
        "Changelog": f"{repository}/blob/{revision}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    table = "[project.urls]\n" + "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    return project.replace("[project.optional-dependencies]", f"{table}\n[project.optional-dependencies]", 1)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python dev/release_metadata.py REPOSITORY_URL REVISION")
    repository, revision = sys.argv[1].rstrip("/"), sys.argv[2]
    for name, change in (("README.md", absolute), ("pyproject.toml", with_addresses)):
        path = ROOT / name
        path.write_text(change(path.read_text(encoding="utf-8"), repository, revision), encoding="utf-8")


if __name__ == "__main__":
    main()
