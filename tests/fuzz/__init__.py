"""Fuzz targets: functions of random bytes that end in an answer or a `RellmError`, and what runs them."""
