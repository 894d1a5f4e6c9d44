"""Tool calls: the tools, the text format of their calls, the arguments, and reading calls back from a text."""
