"""Put every wanted job's results in place as if it had run; run inside a tree, not imported."""

import sys
from pathlib import Path

import yaml

from saeflow.activations.rows import rows_identity
from saeflow.config.checks import resolve
from saeflow.plan.current import HARVEST, RELEASE
from saeflow.plan.jobfile import describe
from saeflow.plan.made import remember
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.work import MANIFEST, RELEASED, bulk_path, hold


def row_table(job):
    """Make the row table that the hooks of a place share; return its name."""
    identity = rows_identity(job.inputs["tokens"].identity)
    with hold(job.output.with_name("rows.json"), identity, ".zarr") as rows:
        if not rows.finished:
            (rows.path / "token_id").write_text("x")
            rows.finish({})
    return rows.final.name


plan = Plan(resolve(yaml.safe_load(Path("config.yaml").read_text())))
for job in sorted(Outputs(plan).wanted(), key=lambda job: job.rule == RELEASE):
    if sys.argv[1:] and job.rule not in sys.argv[1:]:
        continue
    job.output.parent.mkdir(parents=True, exist_ok=True)
    for file in job.files:
        file.write_text("")
    remember(describe(job))
    if job.rule == RELEASE:
        store = job.inputs["activations"]
        bulk = bulk_path(store.output, store.identity, store.suffix)
        if (bulk / MANIFEST).is_file():
            (bulk / MANIFEST).replace(bulk / RELEASED)
    if job.suffix is None:
        job.output.write_text(f'{{"identity": "{job.identity}"}}')
        continue
    with hold(job.output, job.identity, job.suffix) as work:
        if job.rule == HARVEST and (work.final / RELEASED).is_file():
            continue
        if not work.finished:
            (work.path / "shard").write_text("x")
            work.finish({}, needs=[row_table(job)] if job.rule == HARVEST else ())
        work.publish()
