"""Bulk imports: where photos come from, adding them one by one, and doing so as a job that outlives its process."""
