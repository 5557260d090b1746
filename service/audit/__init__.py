"""The log of administrative changes: who did what to which gallery, and when."""
