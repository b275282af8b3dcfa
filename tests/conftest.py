"""What all tests share: the source on the path of child processes, and the real data if at hand."""

import os
import random
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
os.environ["PYTHONPATH"] = str(ROOT / "workflow")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Seed what a test draws without a generator of its own, the same in every run."""
    seed = zlib.crc32(item.nodeid.encode())
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@pytest.fixture(scope="session")
def real_data():
    """The directory with a real model and real texts; skips where there is none."""
    path = Path(os.environ.get("SAEFLOW_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "stories260K").is_dir():
        pytest.skip(f"no real data under {path}; set SAEFLOW_REAL_DATA")
    return path.resolve()
