"""Tracking: off by default, harmless to results, and never the end of a training."""

from __future__ import annotations

import importlib.util
import logging
import sys
import types
from pathlib import Path

import pytest

from sae_recipes import plain
from sae_stores import content, make_activations, place, train_saes
from saeflow import tracking
from saeflow.code import NEUTRAL
from saeflow.errors import ConfigError

RECIPE = plain()["topk"]


class Service(types.ModuleType):
    """A module in the place of wandb that remembers what it was told."""

    def __init__(self, fails=()):
        super().__init__("wandb")
        self.fails, self.runs = fails, []

    def init(self, **options):
        if "init" in self.fails:
            raise RuntimeError("no network")
        self.runs.append({"options": options, "rows": [], "finished": False})
        run, fails = self.runs[-1], self.fails

        class Run:
            def define_metric(self, *arguments, **options):
                run["metric"] = (arguments, options)

            def log(self, row):
                if "log" in fails:
                    raise RuntimeError("no network")
                run["rows"].append(row)

            def finish(self):
                run["finished"] = True

        return Run()


@pytest.fixture
def service(monkeypatch, tmp_path):
    def use(**options):
        found = Service(**options)
        monkeypatch.setitem(sys.modules, "wandb", found)
        monkeypatch.setenv(tracking.VARIABLE, "wandb")
        monkeypatch.setenv(tracking.DIRECTORY, str(tmp_path / "tracked"))
        return found

    return use


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"))


def train(root, activations):
    work = place(root, "a")
    train_saes([(work, RECIPE)], activations)
    return work


def test_without_the_variable_nothing_is_imported(monkeypatch, activations, tmp_path):
    monkeypatch.delenv(tracking.VARIABLE, raising=False)
    for name in ("wandb", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    assert train(tmp_path, activations).finished


def test_every_row_of_the_log_is_told_and_the_result_is_the_same(
    service, monkeypatch, activations, tmp_path
):
    told = service()
    tracked = train(tmp_path / "tracked", activations)
    monkeypatch.delenv(tracking.VARIABLE)
    silent = train(tmp_path / "silent", activations)
    assert content(tracked) == content(silent)
    (run,) = told.runs
    lines = (tracked.final / "log.csv").read_text().splitlines()
    names = lines[0].split(",")
    assert [",".join(repr(row[name]) for name in names) for row in run["rows"]] == lines[1:]
    assert set(run["rows"][0]) == set(names)
    assert run["finished"] and run["metric"] == (("*",), {"step_metric": "tokens"})
    assert run["options"]["name"].endswith("/a/identity")


@pytest.mark.parametrize("failing", ["init", "log"])
def test_a_service_that_fails_is_left_alone(failing, service, activations, tmp_path, caplog):
    service(fails=(failing,))
    with caplog.at_level(logging.WARNING):
        assert train(tmp_path, activations).finished
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "saeflow.tracking"]
    assert "no network" in warning


def test_what_is_not_installed_is_said_before_the_training(monkeypatch, activations, tmp_path):
    monkeypatch.setenv(tracking.VARIABLE, "wandb")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"wandb is not installed.*saeflow\[tracking\]"):
        train(tmp_path, activations)


def test_an_unknown_tracker_is_refused(monkeypatch):
    monkeypatch.setenv(tracking.VARIABLE, "notebook")
    with pytest.raises(ConfigError, match="SAEFLOW_TRACKING.*tensorboard"):
        tracking.tracker(Path("results/saes/a/sae.json"), "i" * 64)


def test_no_identity_knows_of_it():
    assert "saeflow.tracking" in NEUTRAL


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
def test_tensorboard_reads_the_curves(monkeypatch, activations, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv(tracking.VARIABLE, "tensorboard")
    monkeypatch.setenv(tracking.DIRECTORY, str(tmp_path / "curves"))
    work = train(tmp_path, activations)
    (file,) = (tmp_path / "curves").rglob("events.*")
    events = EventAccumulator(str(file.parent)).Reload()
    found = [(e.step, e.value) for e in events.Scalars("fvu")]
    rows = [line.split(",") for line in (work.final / "log.csv").read_text().splitlines()]
    fvu, tokens = rows[0].index("fvu"), rows[0].index("tokens")
    assert [step for step, _ in found] == [int(row[tokens]) for row in rows[1:]]
    for (_, value), row in zip(found, rows[1:], strict=True):
        assert value == pytest.approx(float(row[fvu]), rel=1e-6)
