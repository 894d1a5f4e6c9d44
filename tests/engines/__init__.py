"""Masks, matchers and budgets, against oracles that share nothing with the library."""
