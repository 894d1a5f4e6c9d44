"""Integrations: one file or folder per library; each imports its library lazily, and none imports another."""
