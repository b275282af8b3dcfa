"""What all tests share: the source on the path of child processes, and the real data if at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
os.environ["PYTHONPATH"] = str(ROOT / "workflow")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data():
    """The directory with a real model and real texts; skips where there is none."""
    path = Path(os.environ.get("SAEFLOW_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "stories260K").is_dir():
        pytest.skip(f"no real data under {path}; set SAEFLOW_REAL_DATA")
    return path.resolve()
