import os
import sys

import pytest

from saeflow.plan.environment import export
from saeflow.plan.result import SOURCE_ROOT


@pytest.mark.parametrize(("deployed", "python"), [(True, "python"), (False, sys.executable)])
def test_jobs_find_their_interpreter_and_the_library(monkeypatch, deployed, python):
    monkeypatch.setattr(os, "environ", {"PYTHONPATH": "/elsewhere"})
    for _ in range(2):  # what is there is not added again
        export(deployed=deployed)
    assert os.environ["SAEFLOW_PYTHON"] == python
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(SOURCE_ROOT), "/elsewhere"]
