"""What a server tells of itself: counts, traces, readiness."""
