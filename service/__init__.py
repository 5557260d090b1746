"""Everything that listens or stores: HTTP, database, photo files."""
