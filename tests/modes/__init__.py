"""Texts from models: every mode of `generate`, and what `Generator` adds to it."""
