"""What `benchmarks/compare.py` is made of: cases, oracle, the measured process, goals, report."""
