"""What `re` and `regex` as installed say about every code point."""
