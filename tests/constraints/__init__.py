"""What may be written: constraints as values, combined, described, and what they read from a text."""
