"""What operators ask a server: health, readiness, metrics, version."""
