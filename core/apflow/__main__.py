"""`python -m apflow`."""

from apflow.cli import main

if __name__ == "__main__":
    main()
