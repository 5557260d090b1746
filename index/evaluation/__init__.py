"""How good is it? Metrics, the open-set protocol, and a one-file report."""
