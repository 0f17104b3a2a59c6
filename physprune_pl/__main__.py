"""The command line: ``physprune --help``, or ``python -m physprune_pl --help``."""

import importlib.util
import sys

MISSING = "error: the commands need jsonargparse, which is not installed: pip install jsonargparse"


def main() -> int:
    """Run the command that the process was started with; return the exit status.

    A network is imported from the working folder too, however the process was started.
    """
    if importlib.util.find_spec("jsonargparse") is None:
        print(MISSING, file=sys.stderr)
        return 2
    from physprune_pl import commands

    if "" not in sys.path:
        sys.path.insert(0, "")
    return commands.main()


if __name__ == "__main__":
    sys.exit(main())
