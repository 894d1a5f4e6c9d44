"""Calls of tools: which tools, in which format of text, with which arguments; and what was written, read back."""
