"""``python -m tra``: the command."""

import sys

from tra.cli import main

if __name__ == "__main__":
    sys.exit(main())
