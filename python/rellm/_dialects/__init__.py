"""Character classes of the installed `re` and `regex`: how each treats every code point."""
