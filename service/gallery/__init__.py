"""Galleries: their items, labels, replicas in memory, calibrations and generations."""
