"""Puts this folder's helpers, and the made-up connector of the conformance tests, where they can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
