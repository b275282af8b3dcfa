"""From texts to activations, sparse autoencoders, measures, figures and a report."""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# The library is found beside this file, here and in the jobs, installed or not.
SOURCE = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(SOURCE))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])
)

from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.errors import SaeflowError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.rules import Rules

# A configuration given with --configfile replaces the default study, it does not add to it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


CONFIG_FILE = ", ".join(str(file) for file in workflow.configfiles)
try:
    plan = Plan(resolve(config, file=CONFIG_FILE), file=CONFIG_FILE)
    outputs = Outputs(plan)
    wanted = Rules(outputs.wanted(), workflow.register_resource, ancient)
except SaeflowError as error:
    sys.exit(f"error in {error}")

PY = sys.executable
SCRIPTS = Path(workflow.basedir) / "scripts"
CORES = workflow.cores or 1


wildcard_constraints:
    **paths.WILDCARDS,


localrules:
    all,


rule all:
    """Make the report, with every study of the configuration."""
    default_target: True
    input:
        paths.REPORT,


include: "rules/models.smk"
include: "rules/datasets.smk"
include: "rules/activations.smk"
include: "rules/saes.smk"
include: "rules/measures.smk"
include: "rules/suppression.smk"
include: "rules/report.smk"
