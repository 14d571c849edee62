"""Where `maker` begins: here, so that a Ctrl-C while modules load is an end like any other."""

import sys


def main() -> None:
    try:
        from maker.cli import main as begin
    except KeyboardInterrupt:
        sys.exit(130)
    begin()


if __name__ == "__main__":
    main()
