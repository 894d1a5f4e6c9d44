"""Batch jobs: a file of rows in, the same rows with texts out."""
