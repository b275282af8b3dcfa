"""From texts to activations, sparse autoencoders, measures, figures and a report."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

# The library is found beside this file, installed or not; a logger may have imported another one.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))
for module in [name for name in sys.modules if name.partition(".")[0] == "saeflow"]:
    del sys.modules[module]

from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.errors import SaeflowError
from saeflow.plan.environment import export
from saeflow.plan.jobs import Jobs
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.possible import require_possible

# A configuration given with --configfile replaces the default study, it does not add to it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


try:
    outputs = None
    if workflow.is_main_process:  # a job of a cluster runs what was planned
        file = ", ".join(str(one) for one in workflow.configfiles)
        for one in workflow.configfiles:
            # Snakemake's own reader accepts a key that stands twice.
            read_config(Path(one))
        outputs = Outputs(Plan(resolve(config, file=file), file=file))
        require_possible(outputs)
    jobs = Jobs(outputs)
except SaeflowError as error:
    sys.exit(f"error in {error}")

export(deployed=bool(workflow.deployment_settings.deployment_method))
CORES = workflow.cores or 1


wildcard_constraints:
    **paths.WILDCARDS,


onstart:
    try:
        jobs.require_plans()
    except SaeflowError as error:
        sys.exit(f"error in {error}")


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
