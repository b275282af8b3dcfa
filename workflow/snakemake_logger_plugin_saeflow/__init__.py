"""What a run of the workflow prints: Snakemake loads this for ``--logger saeflow``.

It follows the passes of the workflow (`saeflow.plan.passes`): `passes` knows one of them, `run` all
of them and how long they will take, `screen` writes, `handler` turns Snakemake's events into lines.
"""

from snakemake_logger_plugin_saeflow.handler import LogHandler

__all__ = ["LogHandler"]
