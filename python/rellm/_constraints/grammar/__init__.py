"""Grammars: readers of their formats, what is done with their rules, and the constraint itself."""
