"""`python -m maker` is `maker`."""

from maker.cli import main

main()
