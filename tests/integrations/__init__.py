"""Other libraries and serving engines."""
