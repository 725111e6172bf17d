"""`python -m separatrix.cli`."""

import sys

from . import main

sys.exit(main())
