"""Which of our files import which, in Rust and in Python, and the circles that this makes."""

from __future__ import annotations

import ast
import re
from collections import deque
from pathlib import Path

Graph = dict[str, set[str]]


def rust_imports(root: Path) -> Graph:
    """Of each file below `root`, a crate's `src`, the files whose modules it names; tests are left out."""
    modules = {module_of(path.relative_to(root)): path.relative_to(root).as_posix() for path in root.rglob("*.rs")}
    modules = {module: file for module, file in modules.items() if "tests" not in module}
    graph: Graph = {}
    for module, file in modules.items():
        source = re.sub(
            r"^#\[cfg\(test\)\]\n(pub(\(\w+\))? )?mod \w+ \{.*", "", (root / file).read_text("utf-8"), flags=re.M | re.S
        )
        source = re.sub(r"//.*", "", source)
        graph[file] = set()
        for path in rust_paths(source):
            target = resolved(path, module, is_folder=file.endswith("mod.rs") or file == "lib.rs")
            while target is not None and target not in modules:
                target = target[:-1] if target else None
            if target and modules[target] != file:
                graph[file].add(modules[target])
    return graph


def module_of(path: Path) -> tuple[str, ...]:
    """The names on the way to a file's module; none for the crate itself."""
    parts = path.with_suffix("").parts
    return () if parts == ("lib",) else parts[:-1] if parts[-1] == "mod" else parts


def rust_paths(source: str) -> list[list[str]]:
    """The paths that a source names from `crate`, `super`, `self` or, in a `use`, from a module below it."""
    found = [name.split("::") for name in re.findall(r"\b(?:crate|super)(?:::\w+)+", source)]
    for used in re.findall(r"\buse\s+([^;]+);", source):
        found += spread(used)
    return found


def spread(used: str) -> list[list[str]]:
    """The paths of a `use`, its braces opened."""
    head, brace, rest = used.partition("{")
    if not brace:
        return [used.split(" as ")[0].strip().split("::")]
    depth, part, parts = 0, "", []
    for letter in rest[: rest.rindex("}")]:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [path for part in [*parts, part] if part.strip() for path in spread("".join((head + part).split()))]


def resolved(path: list[str], module: tuple[str, ...], *, is_folder: bool) -> tuple[str, ...] | None:
    """The module that a path begins at, with the names behind it; None for another crate."""
    here = list(module)
    first, *rest = path
    if first == "crate":
        return tuple(rest)
    if first == "self":
        return tuple(here + rest)
    if first == "super":
        return resolved_above(here, rest)
    return tuple(here + path) if is_folder else None


def resolved_above(here: list[str], rest: list[str]) -> tuple[str, ...]:
    here = here[:-1]
    while rest[:1] == ["super"]:
        here, rest = here[:-1], rest[1:]
    return tuple(here + rest)


def python_imports(root: Path) -> Graph:
    """Of each file below `root`, the folder of a package, the files that it imports when it is imported itself."""
    graph: Graph = {}
    for path in root.rglob("*.py"):
        file = path.relative_to(root.parent).as_posix()
        targets = {python_file(root.parent, module) for module in imported_at_once(path.read_text("utf-8"), root)}
        graph[file] = {target for target in targets if target is not None and target != file}
    return graph


def python_file(above: Path, module: str) -> str | None:
    """The file of a module, if it is one of ours."""
    target = above / module.replace(".", "/")
    for file in (target.with_suffix(".py"), target / "__init__.py"):
        if file.exists():
            return file.relative_to(above).as_posix()
    return None


def imported_at_once(source: str, root: Path) -> list[str]:
    """The modules of the package `root` that a module imports outside of functions, for more than types."""
    found: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = root.parent / node.module.replace(".", "/")
            for alias in node.names:
                is_module = any(folder.joinpath(alias.name + end).exists() for end in (".py", ".pyi", "/__init__.py"))
                found.append(f"{node.module}.{alias.name}" if is_module else node.module)
    return [name for name in found if name.split(".")[0] == root.name]


def circles(graph: Graph) -> list[list[str]]:
    """A circle of three files or more for each import that closes one, the shortest."""
    found: dict[frozenset[str], list[str]] = {}
    for importer, targets in graph.items():
        for target in sorted(targets):
            way = shortest_way(graph, target, importer)
            if way:
                found.setdefault(frozenset(way), way)
    return sorted(found.values())


def shortest_way(graph: Graph, start: str, end: str) -> list[str] | None:
    """The shortest way along imports from `start` to `end` by at least one file between them."""
    before: dict[str, str] = {start: start}
    queue = deque([start])
    while queue:
        file = queue.popleft()
        for target in sorted(graph.get(file, ())):
            if (file, target) == (start, end) or target in before:
                continue
            before[target] = file
            if target == end:
                way = [end]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            queue.append(target)
    return None
