"""Fragments of objects: declared members in any order, classes of other members, conditions on the present keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from rellm._constraints.expression import (
    NOTHING as NO_TEXT,
)
from rellm._constraints.expression import (
    Fragment,
    choice,
    complement,
    intersection,
    literal,
    members,
    repeat,
    sequence,
    union,
)
from rellm._constraints.json_schema.complements import covers, key_term
from rellm._constraints.json_schema.shapes import ANYTHING, NOTHING, STRING, Layer, ObjectShape, Term, both
from rellm._constraints.json_schema.spelling import SCALAR
from rellm._constraints.json_schema.strings import Texts, decoded, writable

if TYPE_CHECKING:
    from rellm._constraints.json_schema.emission import Emission

_MAX_CLASSES = 256
_ANY_KEY = repeat(SCALAR, 0, None)


def object_fragment(emission: Emission, shape: ObjectShape) -> Iterator[Fragment]:
    """The texts of the objects of a shape, one fragment for each way to satisfy its `exists`."""
    for case in _cases(emission, shape):
        fragment = _object(emission, case)
        if fragment[0] != NO_TEXT:
            yield fragment


def _cases(emission: Emission, shape: ObjectShape) -> Iterator[ObjectShape]:
    """Cases of the shape whose `exists` only concern keys that are not declared."""
    if not shape.exists:
        yield shape
        return
    declared = _declared(shape)
    ways: list[list[tuple[str, Term] | None]] = []
    for layer, atom, term in shape.exists:
        ways.append([(key, term) for key in declared if covers(emission.front, layer, atom, key)] + [None])
    for chosen in product(*ways):
        layers, required, exists = list(shape.layers), list(shape.required), []
        for way, condition in zip(chosen, shape.exists, strict=True):
            if way is None:
                exists.append(condition)
            else:
                layers.append(Layer({way[0]: way[1]}))
                required.append(way[0])
        yield ObjectShape(
            shape.low, shape.high, tuple(layers), tuple(dict.fromkeys(required)), shape.clauses, tuple(exists)
        )


def _declared(shape: ObjectShape) -> dict[str, None]:
    """The declared keys of the shape, in their order."""
    declared: dict[str, None] = {}
    for layer in shape.layers:
        declared.update(dict.fromkeys(layer.named))
    declared.update(dict.fromkeys(shape.required))
    for layer, _, _ in shape.exists:
        declared.update(dict.fromkeys(layer.named))
    for given, wanted in shape.clauses:
        declared.update(dict.fromkeys(given))
        declared.update(dict.fromkeys(wanted))
    return declared


def _object(emission: Emission, shape: ObjectShape) -> Fragment:
    context, layout = emission.context, emission.layout
    required = set(shape.required)
    layers = shape.layers
    is_plain = len(layers) == 1 and not layers[0].atoms
    keys: list[tuple[int, bool, Fragment]] = []
    numbers: dict[str, int] = {}
    declared = emission.arranged(_declared(shape))
    for key in declared:
        if is_plain:
            held = layers[0].named.get(key)
            term = layers[0].rest if held is None else held
        else:
            term = key_term(emission.front, shape, key)
        fragment = [NO_TEXT] if term == NOTHING else emission.inner(term)
        if fragment[0] == NO_TEXT:
            if key in required:
                return fragment
            continue
        numbers[key] = len(keys)
        keys.append((context.string(emission.key_end(key)), key in required, sequence([layout.colon, fragment])))
    classes, witnesses = _others(emission, shape, list(declared))
    guards: list[tuple[list[int], list[int]]] = []
    for given, wanted in shape.clauses:
        if all(key in numbers for key in given):
            guards.append(([numbers[key] for key in given], [numbers[key] for key in wanted if key in numbers]))
    for found in witnesses:
        if not found:
            return [NO_TEXT]
        guards.append(([], [len(keys) + number for number in found]))
    low, high = shape.low, -1 if shape.high is None else shape.high
    if high == -1 and low <= len(required):
        low = 0
    if not classes and high >= len(keys):
        high = -1
    opened = emission.opens_object
    empty_object = literal(context, "{}") if layout.is_strict else sequence([opened, layout.close])
    if high == 0 or (not keys and not classes):
        return [NO_TEXT] if low > 0 or required or witnesses else empty_object
    # Indented: an empty object is written on one line.
    least = max(low, 1) if layout.is_strict else low
    ordered = emission.is_ordered
    body = members(layout.first, layout.between, layout.close, keys, classes, guards, least, high, ordered)
    written = sequence([opened, body])
    can_be_empty = low <= 0 and not required and not witnesses
    return union([empty_object, written]) if layout.is_strict and can_be_empty else written


def _others(
    emission: Emission, shape: ObjectShape, declared: list[str]
) -> tuple[list[tuple[Fragment, Fragment]], list[list[int]]]:
    """The classes of undeclared keys, and for each `exists` of the shape the classes that satisfy it."""
    layers = shape.layers
    witnesses: list[list[int]] = [[] for _ in shape.exists]
    if not shape.exists:
        says_more = any(layer.evaluates_rest or layer.atoms for layer in layers)
        if emission.is_closed and not says_more and any(layer.named for layer in layers):
            return [], witnesses
        if not any(layer.atoms for layer in layers):
            term = ANYTHING
            for layer in layers:
                term = both(term, layer.rest)
            if term == NOTHING:
                return [], witnesses
            value = emission.inner(term)
            if value[0] == NO_TEXT:
                return [], witnesses
            return [(_key(emission, [], declared), sequence([emission.layout.colon, value]))], witnesses
    atoms: dict[str | Term, int] = {}
    for layer in [*layers, *(layer for layer, _, _ in shape.exists)]:
        for atom, _ in layer.atoms:
            atoms.setdefault(atom, len(atoms))
    for _, witness, _ in shape.exists:
        if witness is not None:
            atoms.setdefault(witness, len(atoms))
    ways = _ways_to_meet(list(atoms), emission.front.texts)
    if ways is None:
        schema = emission.front.schema_with("patternProperties")
        remedy = "use fewer patterns"
        emission.front.unsupported(
            schema, "patternProperties", f"its keys are of more than {_MAX_CLASSES} kinds", remedy
        )
        return [(_key(emission, [], declared), sequence([emission.layout.colon, emission.inner(ANYTHING)]))], witnesses
    classes: list[tuple[Fragment, Fragment]] = []
    for inside, told in ways:
        term = ANYTHING
        is_declared = False
        for layer in layers:
            is_matched = False
            for atom, held in layer.atoms:
                if inside[atoms[atom]]:
                    is_matched = True
                    term = both(term, held)
            if not is_matched:
                term = both(term, layer.rest)
            is_declared = is_declared or is_matched or layer.evaluates_rest
        if term == NOTHING or (emission.is_closed and not is_declared and any(layer.named for layer in layers)):
            continue
        key: Fragment | None = None
        applying = [
            number
            for number, (layer, witness, _) in enumerate(shape.exists)
            if (
                inside[atoms[witness]]
                if witness is not None
                else not any(inside[atoms[other]] for other, _ in layer.atoms)
            )
        ]
        for fulfilled in product((True, False), repeat=len(applying)):
            held = term
            for number, is_fulfilled in zip(applying, fulfilled, strict=True):
                wanted = shape.exists[number][2]
                held = both(held, wanted if is_fulfilled else emission.front.negated(wanted))
            if held == NOTHING or (applying and emission.front.term_is_empty(held)):
                continue
            value = emission.inner(held)
            if value[0] == NO_TEXT:
                continue
            if key is None:
                asked = [(atom, is_in) for atom, is_in, is_asked in zip(atoms, inside, told, strict=True) if is_asked]
                key = _key(emission, asked, declared)
            for number, is_fulfilled in zip(applying, fulfilled, strict=True):
                if is_fulfilled:
                    witnesses[number].append(len(classes))
            classes.append((key, sequence([emission.layout.colon, value])))
    return classes, witnesses


def _ways_to_meet(atoms: list[str | Term], texts: Texts) -> list[tuple[tuple[bool, ...], tuple[bool, ...]]] | None:
    """In which of the languages a key can be, and for each of them whether that has to be asked; None: too many ways.

    Two patterns that no text has both of need not be asked for both.
    """
    if 2 ** len(atoms) <= _MAX_CLASSES:
        return [(inside, (True,) * len(atoms)) for inside in product((True, False), repeat=len(atoms))]
    apart = {
        (one, other)
        for other in range(len(atoms))
        for one in range(other)
        if isinstance(first := atoms[one], str) and isinstance(second := atoms[other], str)
        if not texts.can_meet(first, second)
    }
    ways: list[tuple[bool, ...]] = [()]
    for number in range(len(atoms)):
        grown: list[tuple[bool, ...]] = []
        for inside in ways:
            if not any(is_in and (other, number) in apart for other, is_in in enumerate(inside)):
                grown.append((*inside, True))
            grown.append((*inside, False))
        if len(grown) > _MAX_CLASSES:
            return None
        ways = grown

    def is_asked(inside: tuple[bool, ...], number: int) -> bool:
        others = (other for other, is_in in enumerate(inside) if is_in)
        return inside[number] or not any((min(number, o), max(number, o)) in apart for o in others)

    return [(inside, tuple(is_asked(inside, number) for number in range(len(atoms)))) for inside in ways]


def _key(emission: Emission, atoms: list[tuple[str | Term, bool]], declared: list[str]) -> Fragment:
    """The undeclared keys that are in some languages and outside of others; with the closing quote."""
    if not atoms and not declared:
        return emission.any_key
    context, parts = emission.context, []
    for atom, is_inside in atoms:
        if isinstance(atom, str):
            fragment = emission.front.texts.found(context, atom)
        else:
            shapes = emission.front.expansion(atom).get(STRING, ())
            fragment = union([decoded(context, shape, emission.front.texts) for shape in shapes])
        parts.append(fragment if is_inside else complement(fragment))
    if declared:
        parts.append(complement(choice(context, writable(frozenset(declared)))))
    if not any(is_inside for _, is_inside in atoms):
        parts.insert(0, _ANY_KEY)
    return emission.other_keys(intersection(parts))
