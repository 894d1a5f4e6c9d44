"""JSON Schema as a constraint, and JSON while it is written."""
