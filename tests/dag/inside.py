"""What is asked of a tree by code of its own: these functions import the tree's saeflow.

`dag.tree.Tree.ask` runs one of them in a fork of this process, in the tree's directory.
"""

from __future__ import annotations

from pathlib import Path


def outputs(file="config.yaml"):
    """Plan a configuration of the tree's."""
    from saeflow.config.checks import resolve
    from saeflow.config.reading import read_config
    from saeflow.plan.outputs import Outputs
    from saeflow.plan.plan import Plan

    return Outputs(Plan(resolve(read_config(Path(file)), file=file)))


def stale():
    """Return rule and record of each result that is not there."""
    found = outputs()
    return [(one.rule, str(one.output)) for one in found.wanted if not found.current(one)]


def passes(wanted=None):
    """Return the passes of a run in their order: rule, place, records, part, those before."""
    from saeflow.plan.passes import Schedule

    found = outputs()
    of = found.wanted if wanted is None else found.leading_to([Path(path) for path in wanted])
    return [
        {
            "rule": one.rule,
            "place": dict(one.place),
            "records": [str(result.output) for result in one.results],
            "part": one.part,
            "before": [other.plan for other in one.before],
            "plan": one.plan,
        }
        for one in Schedule(of, found.current, found.plan.config["jobs"])
    ]


def identities():
    """Return the identity of every wanted result by its record."""
    return {str(one.output): one.identity for one in outputs().wanted}


def pretend(*rules):
    """Put every wanted result in place as if it had been made, or those of some rules."""
    from saeflow.plan.current import HARVEST, RELEASE
    from saeflow.plan.made import keep_code, remember
    from saeflow.plan.passes import describe
    from saeflow.plan.result import source
    from saeflow.task import Task
    from saeflow.work import MANIFEST, RELEASED, bulk_path, hold

    found = outputs()
    for result in sorted(found.wanted, key=lambda one: (one.rule == RELEASE, one.output)):
        if rules and result.rule not in rules:
            continue
        keep_code(result.code, source().closure(result.roots))
        remember(result.rule, describe(result))
        if result.rule == RELEASE:
            store = result.inputs["activations"]
            bulk = bulk_path(store.output, store.identity, store.suffix)
            if (bulk / MANIFEST).is_file():
                (bulk / MANIFEST).replace(bulk / RELEASED)
        if result.suffix is None:
            task = Task(result.output, result.identity, {}, files=result.files)
            for file in result.files:
                file.parent.mkdir(parents=True, exist_ok=True)
                if found.current(result):
                    continue
                file.write_text("1.5")
            task.finish({})
            continue
        with hold(result.output, result.identity, result.suffix) as work:
            if result.rule == HARVEST and (work.final / RELEASED).is_file():
                continue
            if work.finished:
                work.publish()
                continue
            (work.path / "shard").write_text("x")
            work.finish({}, needs=[_row_table(result)] if result.rule == HARVEST else ())


def _row_table(store):
    """Make the row table that the hooks of a place share; return its name."""
    from saeflow.activations.rows import rows_identity
    from saeflow.work import hold

    identity = rows_identity(store.inputs["tokens"].identity)
    with hold(store.output.with_name("rows.json"), identity, ".zarr") as rows:
        if not rows.finished:
            (rows.path / "token_id").write_text("x")
            rows.finish({})
    return rows.final.name


def read_by(file, record):
    """Return the identities of what a result of a configuration reads, sorted."""
    return sorted(one.identity for one in outputs(file).find(Path(record)).reads())


def described(rule):
    """Return the plan of one pass of a rule as if nothing of it were there."""
    from saeflow.plan.passes import Schedule

    found = outputs()
    passes = Schedule(found.wanted, lambda result: result.rule != rule)
    return next(iter(passes)).described()
