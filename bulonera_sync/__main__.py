"""`python -m bulonera_sync` is the same command line."""

import sys

from bulonera_sync.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
