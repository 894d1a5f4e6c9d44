"""The text of a pattern, and what it asks of characters."""
