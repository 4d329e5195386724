"""`python -m evonas.cli` is `evonas`."""

from evonas.cli import main

if __name__ == "__main__":
    main()
