"""`python -m luxgen` is the `luxgen` command."""

import sys

from luxgen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
