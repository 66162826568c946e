"""Measurements: `make bench` prints them as tables. Ratios hold within one run only; no test asserts a time."""
