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
from saeflow.config.reading import read_config
from saeflow.errors import SaeflowError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.rules import Rules

# A configuration given with --configfile replaces the default study, it does not add to it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


CONFIG_FILE = ", ".join(str(file) for file in workflow.configfiles)
try:
    for file in workflow.configfiles:
        read_config(
            Path(file)
        )  # Snakemake's own reader accepts a key that stands twice
    plan = Plan(resolve(config, file=CONFIG_FILE), file=CONFIG_FILE)
    outputs = Outputs(plan)
    wanted = Rules(outputs.wanted(), workflow.register_resource, ancient)
except SaeflowError as error:
    sys.exit(f"error in {error}")

# An environment that Snakemake deploys has its own Python; else it is the one that runs this.
PY = "python" if workflow.deployment_settings.deployment_method else sys.executable
SCRIPTS = Path(workflow.basedir) / "scripts"
CORES = workflow.cores or 1


report: "workflow/report/workflow.rst"


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
include: "rules/models_study.smk"
include: "rules/suppression.smk"
include: "rules/report.smk"
