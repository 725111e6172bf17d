"""The learning of dynamics against its peers: the catalogue, Koopman analysis and piecewise-linear networks in turn.

Each part is a benchmark of its own with its own sides and section in the README: `chaos_systems.py`, `chaos_koopman.py`
and `chaos_plrnn.py`. Arguments go to all of them: `python benchmarks/chaos.py --rounds 1`.
"""

import subprocess
import sys
from pathlib import Path

PARTS = ("chaos_systems.py", "chaos_koopman.py", "chaos_plrnn.py")

if __name__ == "__main__":
    codes = [subprocess.call([sys.executable, str(Path(__file__).with_name(part)), *sys.argv[1:]]) for part in PARTS]
    sys.exit(max(codes))
