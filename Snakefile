"""From texts to activations, sparse autoencoders, measures, figures and a report."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.0")

# The library is found beside this file, installed or not; a logger may have imported another one.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))
for module in [name for name in sys.modules if name.partition(".")[0] == "saeflow"]:
    del sys.modules[module]

from saeflow import paths
from saeflow.errors import SaeflowError, explained
from saeflow.plan.asked import forced, planned
from saeflow.plan.environment import cores, export, pass_on_sigterm
from saeflow.plan.jobs import Jobs

# A configuration given with --configfile replaces the default study, it does not add to it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


try:
    # A job of a cluster runs what was planned, and plans nothing.
    outputs = planned(workflow, config) if workflow.is_main_process else None
    CORES = cores(workflow)
except (SaeflowError, PermissionError) as error:
    sys.exit(f"error in {explained(error)}")

jobs = Jobs(outputs, lambda of: forced(workflow.dag_settings, of), logger.warning)
export(deployed=bool(workflow.deployment_settings.deployment_method))
pass_on_sigterm()


wildcard_constraints:
    **paths.WILDCARDS,


onstart:
    jobs.require_plans()


onsuccess:
    # A job that fails in part is done, so that all that it costs nothing goes on.
    if unmade := jobs.unmade():
        raise WorkflowError(unmade)


rule all:
    """Make the report, with every study of the configuration."""
    default_target: True
    input:
        jobs.all,
    localrule: True


for study in outputs.studies if outputs else ():

    rule:
        """Make the tables and figures of one study."""
        name:
            study
        input:
            lambda wildcards, study=study: jobs.study(study),
        localrule: True


include: "rules/datasets.smk"
include: "rules/models.smk"
include: "rules/activations.smk"
include: "rules/saes.smk"
include: "rules/measures.smk"
include: "rules/studies.smk"
include: "rules/report.smk"
