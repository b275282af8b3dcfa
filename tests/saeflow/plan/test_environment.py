import os
import sys
from types import SimpleNamespace

import pytest
from snakemake.settings.types import RerunTrigger

from saeflow.plan.environment import export, ignore_sets_of_inputs
from saeflow.plan.job import SOURCE_ROOT


@pytest.mark.parametrize(("deployed", "python"), [(True, "python"), (False, sys.executable)])
def test_jobs_find_their_interpreter_and_the_library(monkeypatch, deployed, python):
    monkeypatch.setattr(os, "environ", {"PYTHONPATH": "/elsewhere"})
    for _ in range(2):  # what is there is not added again
        export(deployed=deployed)
    assert os.environ["SAEFLOW_PYTHON"] == python
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(SOURCE_ROOT), "/elsewhere"]


def test_only_sets_of_inputs_are_left_to_identities():
    workflow = SimpleNamespace(dag_settings=SimpleNamespace(rerun_triggers=RerunTrigger.all()))
    for _ in range(2):  # Snakemake plans more than once
        ignore_sets_of_inputs(workflow)
    assert RerunTrigger.all() - workflow.dag_settings.rerun_triggers == {RerunTrigger.INPUT}
