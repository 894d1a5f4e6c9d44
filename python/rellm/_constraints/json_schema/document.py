"""A schema document: its resources, their base URIs and anchors, and the resolution of references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin

from rellm._constraints.json_schema.keywords import (
    DEPENDENCIES,
    DRAFTS,
    HOLDS,
    ITEMS,
    SCHEMA,
    SCHEMAS,
    VALIDATION,
    dialect_of,
)

_HOLDING = HOLDS.keys()
_FIRST_WITH_ANCHORS = DRAFTS.index("2019-09")


class Resource:
    """A schema with a base URI of its own."""

    __slots__ = ("anchors", "draft", "dynamic_anchors", "ignored", "is_old", "recursive", "root", "uri")

    def __init__(self, uri: str, root: Any, draft: str, ignored: frozenset[str] = frozenset()) -> None:
        self.uri = uri
        self.root = root
        self.draft = draft
        self.is_old = DRAFTS.index(draft) < _FIRST_WITH_ANCHORS
        self.anchors: dict[str, Any] = {}
        self.dynamic_anchors: dict[str, Any] = {}
        self.recursive = False
        # The keywords of vocabularies that its metaschema does not include.
        self.ignored = ignored


class Document:
    """One schema and the schemas that it refers to.

    Args:
        root: the schema, as `json.loads` gives it; no two of its parts may be the same object.
        resources: further schemas that references may name, by URI.
        draft: the draft where no `$schema` names another one.

    Raises:
        SchemaError: `$schema` names no published draft and no resource.
    """

    def __init__(self, root: Any, resources: Mapping[str, Any], draft: str = "2020-12") -> None:
        self.root = root
        self._given = {uri.removesuffix("#"): schema for uri, schema in resources.items()}
        self._by_uri: dict[str, Resource] = {}
        self._owners: dict[int, Resource] = {}
        self._old_identifiers = False
        self.declares_draft = isinstance(root, dict) and "$schema" in root
        self.main = self._resource(root, "", draft)
        self._is_indexed = False

    def owner(self, schema: Any) -> Resource:
        """The resource that contains a schema."""
        return self._owners.get(id(schema), self.main)

    def resolve(self, reference: str, resource: Resource) -> tuple[Any, Resource]:
        """The target of a reference in this resource, and the resource that contains it.

        Raises:
            LookupError: the target does not exist; the message says why.
        """
        self.index()
        try:
            return self._resolve(reference, resource)
        except LookupError:
            # Documents without a declared draft may use draft 4's "id", and generators write ids that are never used.
            if self._old_identifiers or self.main.draft == "draft-04":
                if reference.startswith("#") and resource is not self.main:
                    return self._resolve(reference, self.main)
                raise
            self._old_identifiers = True
            self._walk(self.root, self.main)
            return self._resolve(reference, self.owner(resource.root))

    def resources(self) -> list[Resource]:
        """All resources that were used."""
        return list(self._by_uri.values())

    def index(self) -> None:
        """Finds all resources and anchors of the document; needed only if a reference names one."""
        if not self._is_indexed:
            self._is_indexed = True
            self._walk(self.root, self.main)

    def _resource(self, root: Any, uri: str, draft: str) -> Resource:
        ignored: frozenset[str] = frozenset()
        if isinstance(root, dict):
            declared = root.get("$schema")
            if declared is not None:
                found = dialect_of(declared)
                draft, ignored = (found, ignored) if found else self._custom(declared, draft)
            identifier = root.get("id" if draft == "draft-04" or self._old_identifiers else "$id")
            if isinstance(identifier, str):
                uri = join(uri, identifier.partition("#")[0])
        resource = Resource(uri, root, draft, ignored)
        self._by_uri[uri] = resource
        return resource

    def _custom(self, uri: Any, draft: str) -> tuple[str, frozenset[str]]:
        """The draft of a metaschema among the resources, and the keywords of vocabularies that it does not include."""
        nothing: frozenset[str] = frozenset()
        metaschema = self._given.get(uri.removesuffix("#")) if isinstance(uri, str) else None
        if not isinstance(metaschema, dict):
            return draft, nothing
        vocabularies = metaschema.get("$vocabulary")
        draft = dialect_of(metaschema.get("$schema")) or draft
        if not isinstance(vocabularies, dict):
            return draft, nothing
        names = {name.rpartition("/")[2] for name in vocabularies}
        validation = nothing if "validation" in names else VALIDATION
        # 2019-09 has one vocabulary of formats, later drafts one that annotates and one that asserts.
        formats = nothing if names & {"format", "format-annotation", "format-assertion"} else frozenset({"format"})
        return draft, validation | formats

    def _resolve(self, reference: str, resource: Resource) -> tuple[Any, Resource]:
        uri, _, fragment = reference.partition("#")
        target = resource if not uri else self._lookup(join(resource.uri, uri))
        fragment = unquote(fragment)
        if not fragment:
            return target.root, target
        if fragment.startswith("/"):
            return self._follow(target, fragment)
        found = target.anchors.get(fragment)
        if found is None:
            raise LookupError(f"there is no anchor {fragment!r}" + (f" in {uri}" if uri else ""))
        return found, self._owners.get(id(found), target)

    def _lookup(self, uri: str) -> Resource:
        uri = uri.removesuffix("#")
        found = self._by_uri.get(uri)
        if found is None:
            schema = self._given.get(uri)
            if schema is None:
                schema = _published(uri)
            found = self._resource(schema, uri, self.main.draft)
            self._by_uri[uri] = found
            self._walk(schema, found)
        return found

    def _follow(self, resource: Resource, pointer: str) -> tuple[Any, Resource]:
        at = resource.root
        for token in pointer[1:].split("/"):
            token = token.replace("~1", "/").replace("~0", "~")
            try:
                at = at[int(token)] if isinstance(at, list) else at[token]
            except (KeyError, IndexError, ValueError, TypeError):
                raise LookupError(f"there is nothing at {pointer!r}") from None
            resource = self._owners.get(id(at), resource)
        if isinstance(at, dict) and id(at) not in self._owners:
            self._walk(at, resource)
        elif not isinstance(at, (dict, bool)):
            raise LookupError(f"at {pointer!r} stands no schema")
        return at, resource

    def _walk(self, schema: Any, resource: Resource) -> None:
        pending = [(schema, resource)]
        owners = self._owners
        while pending:
            schema, resource = pending.pop()
            if not isinstance(schema, dict):
                continue
            resource = self._identified(schema, resource)
            owners[id(schema)] = resource
            for keyword in schema.keys() & _HOLDING:
                pending += [(held, resource) for _, held in held_by(keyword, schema[keyword])]

    def _identified(self, schema: dict[str, Any], resource: Resource) -> Resource:
        identifier = schema.get("id" if resource.draft == "draft-04" or self._old_identifiers else "$id")
        if isinstance(identifier, str) and not (resource.is_old and "$ref" in schema):
            uri, _, fragment = identifier.partition("#")
            if uri and schema is not resource.root:
                resource = self._resource(schema, resource.uri, resource.draft)
            elif uri:
                resource.uri = join(resource.uri, uri)
                self._by_uri[resource.uri] = resource
            if fragment and not fragment.startswith("/"):
                resource.anchors[fragment] = schema
        anchor = schema.get("$anchor")
        if isinstance(anchor, str):
            resource.anchors[anchor] = schema
        anchor = schema.get("$dynamicAnchor")
        if isinstance(anchor, str):
            resource.anchors[anchor] = schema
            resource.dynamic_anchors[anchor] = schema
        if schema.get("$recursiveAnchor") is True and schema is resource.root:
            resource.recursive = True
        return resource


def held_by(keyword: str, value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The schemas inside a keyword's value, each with its path from the schema around the keyword."""
    kind = HOLDS[keyword]
    if kind == SCHEMA or (kind == ITEMS and not isinstance(value, list)):
        yield (keyword,), value
    elif kind in (SCHEMAS, ITEMS):
        if isinstance(value, list):
            for index, schema in enumerate(value):
                yield (keyword, str(index)), schema
    elif isinstance(value, dict):
        for name, schema in value.items():
            if kind != DEPENDENCIES or not isinstance(schema, list):
                yield (keyword, name), schema


def join(base: str, reference: str) -> str:
    """A reference in a document of this URI, made absolute."""
    if not reference:
        return base
    if not base or ":" in reference.partition("/")[0]:
        return reference
    return urljoin(base, reference)


def pointer_to(root: Any, target: Any) -> str | None:
    """The JSON pointer of the object `target` inside `root`; None if it is not there."""
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending:
        at, pointer = pending.pop()
        if at is target:
            return pointer
        children = at.items() if isinstance(at, dict) else enumerate(at)
        for key, child in children:
            if isinstance(child, (dict, list)):
                pending.append((child, f"{pointer}/{escaped(str(key))}"))
    return None


def escaped(token: str) -> str:
    """One token of a JSON pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def _published(uri: str) -> Any:
    """A published metaschema, from the package that ships them."""
    if "json-schema.org/" in uri:
        try:
            from jsonschema_specifications import REGISTRY
        except ImportError:
            raise LookupError(
                f"{uri} is a published metaschema: install jsonschema-specifications, or pass it in resources="
            ) from None
        for name in (uri, uri + "#", uri.replace("https:", "http:"), uri.replace("https:", "http:") + "#"):
            if name in REGISTRY:
                return REGISTRY.contents(name)
    raise LookupError(f"{uri} is not part of the document: pass it in resources={{{uri!r}: …}}; nothing is fetched")
