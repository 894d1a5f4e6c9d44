"""Traces of a constraint's effect on the model: probabilities, and an HTML page."""
