"""Emits shapes as fragments: one rule for each referenced schema, everything else inline."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from rellm._constraints.expression import (
    EMPTY,
    ExpressionContext,
    Fragment,
    empty,
    literal,
    repeat,
    sequence,
    spelled,
    union,
)
from rellm._constraints.expression import (
    NOTHING as NO_TEXT,
)
from rellm._constraints.json_schema.arrays import array_fragment
from rellm._constraints.json_schema.document import Document
from rellm._constraints.json_schema.front_end import FREE_INTEGER, FrontEnd, TooManyBranchesError
from rellm._constraints.json_schema.json_values import text_of
from rellm._constraints.json_schema.keywords import ASSERTIONS, IN_PLACE
from rellm._constraints.json_schema.numbers import TooManyStatesError, number_fragment
from rellm._constraints.json_schema.objects import object_fragment
from rellm._constraints.json_schema.shapes import (
    ANYTHING,
    ARRAY,
    BOOLEAN,
    EVERYTHING,
    FREE_NUMBER,
    FREE_STRING,
    NOTHING,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Expansion,
    StringShape,
    Term,
)
from rellm._constraints.json_schema.spelling import SCALAR, JsonSpelling, Layout
from rellm._constraints.json_schema.strings import Texts, string_fragment

# Values that are indented deeper than this are not written: an indented text needs a rule for each depth.
MAX_INDENTED_DEPTH: Final = 40
# The longest fragment, in numbers, that is copied instead of shared as a rule.
_LONGEST_INLINE: Final = 60


class _Common:
    """The fragments that all documents of a spelling share: free strings and keys, the layout, and free values if the
    layout does not depend on the depth."""

    __slots__ = ("any_key", "context", "emission", "free_string", "layout", "quote", "rules", "value")

    def __init__(self, spelling: JsonSpelling, context: ExpressionContext) -> None:
        self.context = context
        self.quote = literal(context, '"')
        self.free_string = context.shared(string_fragment(context, FREE_STRING, Texts()))
        self.any_key = context.shared(sequence([spelled(repeat(SCALAR, 0, None)), self.quote]))
        self.layout = Layout(context, spelling, 0)
        self.value: Fragment | None = None
        self.emission: Emission | None = None
        # The rules that a document without free values does not need.
        self.rules = range(0)


@lru_cache(maxsize=32)
def _common(spelling: JsonSpelling) -> _Common:
    """The shared fragments of a spelling. PERF: sharing them halves the time of a document."""
    context = ExpressionContext()
    common = _Common(spelling, context)
    context.operations(empty())  # builds the bodies of its rules once
    if not spelling.is_indented:
        # The emission is kept, because its id is part of the keys of its rules.
        common.emission = Emission(FrontEnd(Document(True, {})), context, spelling, common=common)
        common.emission.shapes({NUMBER: [FREE_NUMBER]})
        first = context.rule_count
        common.value = common.emission.value(ANYTHING)
        context.operations(empty())
        common.rules = range(first, context.rule_count)
    return common


class Emission:
    """Writes the fragments of one document into a context.

    Args:
        front: the reader of the document.
        context: collects strings and rules.
        spelling: the spelling of JSON.
        is_ordered: whether declared keys are written in the order of their declaration.
        is_closed: whether objects with declared keys have no others, unless the schema allows them.
    """

    def __init__(
        self,
        front: FrontEnd,
        context: ExpressionContext,
        spelling: JsonSpelling,
        *,
        is_ordered: bool = False,
        is_closed: bool = False,
        common: _Common | None = None,
    ) -> None:
        self.front = front
        self.context = context
        self.spelling = spelling
        self.is_ordered = is_ordered
        self.is_closed = is_closed
        self.depth = 0
        self.reached_depth = False
        self._layouts: dict[int, Layout] = {}
        self._known: dict[tuple[Term, int], Fragment] = {}
        self._open: set[tuple[Term, int]] = set()
        if common is None and type(self) is Emission:
            common = _common(spelling)
            if not context.take_over(common.context):
                common = _Common(spelling, context)
        self._common = common
        self._uses_values = False
        if common is None:  # a notation of its own
            self._free_string = context.shared(self.string(FREE_STRING))
            self.any_key = context.shared(self.other_keys(repeat(SCALAR, 0, None)))
            self._flat_layout = Layout(context, spelling, 0)
        else:
            self._free_string, self.any_key = common.free_string, common.any_key
            self._flat_layout = common.layout

    @property
    def layout(self) -> Layout:
        """The layout at the present depth."""
        if not self.spelling.is_indented:
            return self._flat_layout
        found = self._layouts.get(self.depth)
        if found is None:
            found = self._layouts[self.depth] = Layout(self.context, self.spelling, self.depth)
        return found

    def value(self, term: Term) -> Fragment:
        """The texts of the values of a term."""
        if not term and self._common is not None and self._common.value is not None:
            self._uses_values = True
            return self._common.value
        key = (term, self.depth)
        known = self._known.get(key)
        if known is not None:
            if len(known) > _LONGEST_INLINE:
                # From the second use on, a long fragment becomes a rule; copies would multiply with the nesting.
                fragment = known
                known = self._known[key] = self.context.rule((id(self), *key), lambda: fragment)
            return known
        if term == NOTHING:
            return [NO_TEXT]
        if self.depth > MAX_INDENTED_DEPTH:
            self.reached_depth = True
            return [NO_TEXT]
        if not term or len(term) > 1 or self.front.node(term[0]).is_referenced or key in self._open:
            fragment = self.context.rule((id(self), *key), self._later(term, self.depth))
            self._known[key] = fragment
            return fragment
        self._open.add(key)
        try:
            fragment = self._body(term)
        finally:
            self._open.discard(key)
        self._known[key] = fragment
        return fragment

    def finish(self, fragment: Fragment) -> list[int]:
        """The whole list of operations of a document; rules of free values stay empty where it has none."""
        self.context.operations(fragment)
        if not self._uses_values and self._common is not None:
            self.context.forget_rules(self._common.rules)
        return self.context.operations(fragment)

    def inner(self, term: Term) -> Fragment:
        """The texts of the values of a term, one level deeper."""
        if not self.spelling.is_indented:
            return self.value(term)
        self.depth += 1
        try:
            return self.value(term)
        finally:
            self.depth -= 1

    def _later(self, term: Term, depth: int) -> Callable[[], Fragment]:
        def build() -> Fragment:
            before, self.depth = self.depth, depth
            try:
                return self._body(term)
            finally:
                self.depth = before

        return build

    def _body(self, term: Term) -> Fragment:
        if not term:
            return self.shapes(EVERYTHING)
        if len(term) == 1 and not term[0] & 1:
            node = self.front.node(term[0])
            schema = node.schema
            if schema.keys().isdisjoint(IN_PLACE) and node.alternatives is None:
                return self.shapes(self.front.own(node) if node.expansion is None else node.expansion)
            if "anyOf" in schema and len(schema.keys() & ASSERTIONS) == 1 and not self.front.tracks_evaluated:
                self.front.check_grounded(term[0] >> 1)
                return union([self.value(held) for held in self.front.schemas(node, "anyOf")])
        try:
            return self.shapes(self.front.expansion(term))
        except TooManyBranchesError:
            literals = [self.front.node(item).schema for item in term if item != -1]
            schema = next((schema for schema in literals if schema), {})
            keyword = next(iter(schema.keys() & IN_PLACE), next(iter(schema), "allOf"))
            self.front.unsupported(schema, keyword, "more than 256 branches", "split the schema")
            return self.value(ANYTHING)

    def shapes(self, expansion: Expansion) -> Fragment:
        """The texts of the values of an expansion."""
        context, ways = self.context, []
        for kind, shapes in expansion.items():
            if kind == STRING:
                for shape in shapes:
                    is_free = shape is FREE_STRING
                    ways.append(self._free_string if is_free else context.shared(self.string(shape)))
            elif kind == OBJECT:
                ways += [fragment for shape in shapes for fragment in object_fragment(self, shape)]
            elif kind == NUMBER:
                ways += [self._number(shape) for shape in shapes]
            elif kind == ARRAY:
                ways += [fragment for shape in shapes for fragment in array_fragment(self, shape)]
            elif kind == BOOLEAN:
                ways += [literal(context, self.word(value)) for shape in shapes for value in sorted(shape)]
            elif kind == NULL:
                ways.append(literal(context, self.word(None)))
        if len(ways) == 1:
            return ways[0]
        return union(ways)

    # -- the spelling of scalars, keys and objects; other notations override it --

    @property
    def opens_object(self) -> Fragment:
        """The text before the first key."""
        return literal(self.context, "{")

    def arranged(self, keys: dict[str, None]) -> dict[str, None]:
        """The declared keys in the order in which they are written."""
        return keys

    def string(self, shape: StringShape) -> Fragment:
        """The spellings of the strings of a shape, quotes included."""
        return string_fragment(self.context, shape, self.front.texts)

    def word(self, value: bool | None) -> str:
        """The spelling of a truth value, or of null."""
        return "null" if value is None else "true" if value else "false"

    def key_end(self, key: str) -> str:
        """The rest of a declared key after its opening quote."""
        return text_of(key)[1:]

    def other_keys(self, keys: Fragment) -> Fragment:
        """The same for a language of keys."""
        return sequence([spelled(keys), literal(self.context, '"')])

    def _number(self, shape: Any) -> Fragment:
        if shape is FREE_NUMBER or shape is FREE_INTEGER:
            return self.context.rule((shape.integer, self.spelling.integers), lambda: self._number_fragment(shape))
        return self.context.shared(self._number_fragment(shape))

    def _number_fragment(self, shape: Any) -> Fragment:
        any_spelling = self.spelling.integers == "any"
        if shape.integer and self.front.document.main.draft == "draft-04":
            any_spelling = False  # in draft 4 an integer has no fraction, not even of zeros
        try:
            return number_fragment(shape, any_spelling=any_spelling, max_digits=self.spelling.max_digits)
        except TooManyStatesError:
            schema = self.front.schema_with("multipleOf")
            remedy = "use a simpler number"
            self.front.unsupported(schema, "multipleOf", "the multiples need more than 10,000 states", remedy)
            shape.multiples = shape.not_multiples = ()
            return number_fragment(shape, any_spelling=any_spelling, max_digits=self.spelling.max_digits)


def is_nothing(fragment: Fragment) -> bool:
    """Whether a fragment obviously has no text."""
    return fragment[0] == NO_TEXT


def joined(parts: list[Fragment]) -> Fragment:
    """One after the other, without the empty ones."""
    return sequence([part for part in parts if part[0] != EMPTY])
