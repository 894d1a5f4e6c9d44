"""`python -m rellm` is the command `rellm`."""

import sys

from rellm._cli import main

sys.exit(main())
