"""The command line: ``python -m physprune_pl --help``."""

import sys

from physprune_pl.commands import main

if __name__ == "__main__":
    sys.exit(main())
