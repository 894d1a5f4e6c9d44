"""Vocabularies of tokenizers, and their special tokens."""
