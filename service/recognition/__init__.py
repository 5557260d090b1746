"""Photo in, verdict out."""
