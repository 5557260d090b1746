"""One run: the loop, what it writes, how it is measured, how it goes on after an interruption."""
