"""Vectors -> verdicts: search, ranking, calibration, and generations on disk."""
