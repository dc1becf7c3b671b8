"""`python -m jukectl`."""

from jukectl.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
