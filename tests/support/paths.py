"""Where the sources are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SRC: Final = ROOT / "src"
PYTHONPATH: Final = os.pathsep.join(str(folder) for folder in (SRC, SRC / "adapters", SRC / "entrypoints"))
"""For processes that import the packages of the checkout."""
