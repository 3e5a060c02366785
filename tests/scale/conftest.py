"""Workers import `helping` by name, so its folder is on the path of every process that a test starts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
