"""Puts the made-up connector of this folder where an installed plugin would be."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
