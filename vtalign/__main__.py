"""`python -m vtalign` and `accelerate launch -m vtalign`."""

from vtalign.cli.main import main

if __name__ == "__main__":
    main()
