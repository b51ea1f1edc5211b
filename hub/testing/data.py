"""Where tests find the real data sets and vendor specifications, which are not part of the product."""

import os
from pathlib import Path


def shared_path(relative: str) -> Path | None:
    """A file or folder of the shared data beside the checkout (or under $HUB_SHARED); None when absent."""
    root = os.environ.get("HUB_SHARED")
    base = Path(root) if root else Path(__file__).resolve().parents[3] / "shared"
    path = base / relative
    return path if path.exists() else None
