"""`python -m scarce` and the `scarce` command."""

import sys

from scarce.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
