"""The command line: ``python -m physprune_pl --help``."""

import importlib.util
import sys

MISSING = "error: the commands need jsonargparse, which is not installed: pip install jsonargparse"

if __name__ == "__main__":
    if importlib.util.find_spec("jsonargparse") is None:
        print(MISSING, file=sys.stderr)
        sys.exit(2)
    from physprune_pl.commands import main

    sys.exit(main())
