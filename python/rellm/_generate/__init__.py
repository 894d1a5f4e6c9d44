"""From masks to texts with a Hugging Face model."""
