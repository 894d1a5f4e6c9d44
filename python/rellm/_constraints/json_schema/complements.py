"""Complements of shapes of arrays and objects, and the schemas that apply to one key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rellm._constraints.json_schema.shapes import (
    ANYTHING,
    NOTHING,
    STRING,
    ArrayShape,
    Contained,
    Layer,
    ObjectShape,
    StringShape,
    Term,
    both,
)

if TYPE_CHECKING:
    from rellm._constraints.json_schema.front_end import FrontEnd


def array_complement(front: FrontEnd, shape: ArrayShape) -> list[ArrayShape]:
    """All other arrays."""
    others = []
    if shape.low:
        others.append(ArrayShape(high=shape.low - 1))
    if shape.high is not None:
        others.append(ArrayShape(low=shape.high + 1))
    for layer in shape.layers:
        length = len(layer.named)
        for index, term in enumerate(layer.named):
            if term:
                wrong = Layer((ANYTHING,) * index + (front.negated(term),))
                others.append(ArrayShape(low=index + 1, layers=(wrong,)))
        if layer.rest == NOTHING:
            others.append(ArrayShape(low=length + 1))
        elif layer.rest:
            others.append(ArrayShape(contained=(Contained(front.negated(layer.rest), 1, None, length),)))
    for counted in shape.contained:
        if counted.low:
            others.append(ArrayShape(contained=(Contained(counted.term, 0, counted.low - 1, counted.start),)))
        if counted.high is not None:
            others.append(ArrayShape(contained=(Contained(counted.term, counted.high + 1, None, counted.start),)))
    if shape.unique:
        others.append(ArrayShape(repeated=shape.unique))
    if shape.repeated:
        others.append(ArrayShape(unique=shape.repeated))
    return others


def object_complement(front: FrontEnd, shape: ObjectShape) -> list[ObjectShape]:
    """All other objects."""
    others = []
    if shape.low:
        others.append(ObjectShape(high=shape.low - 1))
    if shape.high is not None:
        others.append(ObjectShape(low=shape.high + 1))
    others += [absent(key) for key in shape.required]
    for layer in shape.layers:
        for key, term in layer.named.items():
            if term:
                others.append(ObjectShape(layers=(Layer({key: front.negated(term)}),), required=(key,)))
        for atom, term in layer.atoms:
            if term:
                others.append(ObjectShape(exists=((layer, atom, front.negated(term)),)))
        if layer.rest:
            others.append(ObjectShape(exists=((layer, None, front.negated(layer.rest)),)))
    for given, wanted in shape.clauses:
        layer = Layer(dict.fromkeys(wanted, NOTHING))
        others.append(ObjectShape(layers=(layer,), required=given))
    for layer, witness, term in shape.exists:
        wrong = front.negated(term)
        if witness is not None:
            others.append(ObjectShape(layers=(Layer({}, ANYTHING, ((witness, wrong),)),)))
        else:
            named = dict.fromkeys(layer.named, ANYTHING)
            atoms = tuple((other, ANYTHING) for other, _ in layer.atoms)
            others.append(ObjectShape(layers=(Layer(named, wrong, atoms),)))
    return others


def absent(key: str) -> ObjectShape:
    """The objects without this key."""
    return ObjectShape(layers=(Layer({key: NOTHING}),))


def key_term(front: FrontEnd, shape: ObjectShape, key: str) -> Term:
    """The term of the value of this key."""
    term = ANYTHING
    for layer in shape.layers:
        found = layer.named.get(key)
        is_named = found is not None
        if found:
            term = both(term, found)
        for atom, held in layer.atoms:
            if in_atom(front, atom, key):
                is_named = True
                if held:
                    term = both(term, held)
        if not is_named and layer.rest:
            term = both(term, layer.rest)
    return term


def covers(front: FrontEnd, layer: Layer, atom: str | Term | None, key: str) -> bool:
    """Whether a key is in the atom; without an atom, whether the layer's `rest` applies to it."""
    if atom is not None:
        return in_atom(front, atom, key)
    return key not in layer.named and not any(in_atom(front, other, key) for other, _ in layer.atoms)


def in_atom(front: FrontEnd, atom: str | Term, key: str) -> bool:
    """Whether a key is in a language of keys: a pattern that is searched in it, or a term."""
    if isinstance(atom, str):
        return front.texts.is_found(atom, key)
    return any(holds(front, shape, key) for shape in front.expansion(atom).get(STRING, ()))


def holds(front: FrontEnd, shape: StringShape, text: str) -> bool:
    """Whether a string is in a shape."""
    return (
        shape.holds_length(len(text))
        and (shape.values is None or text in shape.values)
        and all(front.texts.is_found(pattern, text) for pattern in shape.patterns)
        and all(front.texts.has_format(name, text) for name in shape.formats)
        and not any(holds(front, excluded, text) for excluded in shape.excluded)
    )
