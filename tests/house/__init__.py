"""What holds for the whole package: its surface, its errors, its pages and its structure."""
