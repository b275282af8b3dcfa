"""From texts to activations, sparse autoencoders, measures, figures and a report."""

import sys
from functools import partial
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# The library is found beside this file, installed or not.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.errors import SaeflowError
from saeflow.plan.environment import export, ignore_sets_of_inputs
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.rules import Rules

# A configuration given with --configfile replaces the default study, it does not add to it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


CONFIG_FILE = ", ".join(str(file) for file in workflow.configfiles)
try:
    # Snakemake's own reader accepts a key that stands twice.
    for file in workflow.configfiles:
        read_config(Path(file))
    plan = Plan(resolve(config, file=CONFIG_FILE), file=CONFIG_FILE)
    outputs = Outputs(plan)
    wanted = Rules(
        outputs.wanted(),
        workflow.register_resource,
        ancient,
        partial(ignore_sets_of_inputs, workflow),
    )
except SaeflowError as error:
    sys.exit(f"error in {error}")

export(deployed=bool(workflow.deployment_settings.deployment_method))
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
        list(map(str, outputs.releases)),


include: "rules/models.smk"
include: "rules/datasets.smk"
include: "rules/activations.smk"
include: "rules/saes.smk"
include: "rules/measures.smk"
include: "rules/models_study.smk"
include: "rules/suppression.smk"
include: "rules/report.smk"
