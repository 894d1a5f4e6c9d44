"""The form that the demonstration's model fills. Needs pydantic."""

from __future__ import annotations

import pydantic

PROMPT = "Paris is the capital of France, known for the Eiffel Tower and the Louvre.\nThe same as JSON: "


class City(pydantic.BaseModel):
    name: str
    country: str
    is_capital: bool
    known_for: list[str] = pydantic.Field(max_length=3)
