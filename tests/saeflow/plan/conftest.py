import copy

import pytest

from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.plan import passes as passes_module
from saeflow.plan import result as result_module
from saeflow.plan.plan import Plan
from saeflow.plan.result import Result
from saeflow.task import Task
from saeflow.work import MANIFEST, RELEASED, bulk_path, hold


def plan_of(config, file="config.yaml"):
    return Plan(resolve(config, file=file), file=file)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The small configuration, in a directory with its texts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")
    return copy.deepcopy(CONFIG)


class NoSource:
    """Stands for source code that never changes."""

    def digest(self, roots):
        return "c0de"

    def closure(self, roots):
        return {}

    def files(self, roots):
        return {}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory, where no real code matters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(result_module, "_source", NoSource())
    monkeypatch.setattr(passes_module, "foreseen", lambda one: {})  # these results read nothing
    return tmp_path


@pytest.fixture
def make(place):
    """Return a function that makes a result, with bulk unless it has files."""

    def one(
        name="relu", *, rule="train_saes", files=(), inputs=None, after=(), hook="h", **settings
    ):
        return Result(
            rule=rule,
            place={
                "model": "m",
                "dataset": "d",
                "packing": "p",
                "hook": hook,
                "study": "s",
                "configuration": "c",
            },
            output=place.relative_to(place) / f"results/{name}.json",
            settings=settings,
            inputs=inputs or {},
            suffix=None if files else "",
            files=files,
        )

    return one


def finish(result):
    """Put a result in place."""
    if result.suffix is None:
        for file in result.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        Task(result.output, result.identity, {}, files=result.files).finish({})
        return
    with hold(result.output, result.identity, result.suffix) as work:
        work.finish({})


def remove_data(result):
    """Remove the bulk of a temporary store."""
    bulk = bulk_path(result.output, result.identity, result.suffix)
    (bulk / MANIFEST).replace(bulk / RELEASED)
