"""`python -m jukectl`, and the installed command."""

import gc

from jukectl.cli.main import main


def run() -> int:
    """Run the command line of this process and return its exit status."""
    status = main()
    # The interpreter runs its garbage collector several times on its way out. With torch loaded that took 0.4 s; frozen
    # objects are left out, and the operating system takes their memory back anyway.
    gc.freeze()
    return status


if __name__ == "__main__":
    raise SystemExit(run())
