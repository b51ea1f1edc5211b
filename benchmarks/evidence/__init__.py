"""Runnable proofs: `python -m benchmarks.evidence.<name>` prints each figure beside its target; exit code 1 when one is
missed. They take minutes and read the real data sets beside the checkout, so `make test` runs smaller ones instead.
"""
