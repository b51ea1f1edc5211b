"""Measurements of the hub as ratios: `python -m benchmarks` runs them all; README.md says what each one means."""
