"""Grammars: readers of their formats, transformations of their rules, and the constraint itself."""
