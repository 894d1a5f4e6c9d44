"""From a text to the tokens that may follow it."""
