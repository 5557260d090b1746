"""`python -m cli` is `whichone`."""

from cli import main

main()
