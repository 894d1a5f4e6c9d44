"""JSON Schema: from a schema to the JSON texts that are valid under it.

`document` resolves references, `front_end` turns each schema into unions of `shapes`, `emission` writes these as
fragments. `constraint` is the class that users hold.
"""

from rellm._constraints.json_schema.constraint import JsonSchema
from rellm._constraints.json_schema.spelling import JsonSpelling

__all__ = ["JsonSchema", "JsonSpelling"]
