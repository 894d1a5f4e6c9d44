"""What a constraint did, in numbers and as a page."""
