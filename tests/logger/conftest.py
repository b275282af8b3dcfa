"""A directory with made-up plans, and Snakemake on them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saeflow import paths
from saeflow.files import write_json

HERE = Path(__file__).parent
SAE = "results/saes/world-s/world/sae-256/{hook}/{name}/seed-0/sae.json"


class Passes:
    """Plans under a directory, and runs of those that are asked for."""

    def __init__(self, root):
        self.root = root
        self._receipts = {}

    def add(self, plan, rule, place, results, *, part=None, **more):
        """Write a plan; ``results`` are records, or (record, why it fails)."""
        every = [one if isinstance(one, tuple) else (one, None) for one in results]
        noun = {"train_lm": "model", "train_saes": "SAE", "tabulate": "table"}[rule]
        content = {
            "rule": rule,
            "place": place,
            "part": part,
            "takes_s": 0.0,
            "results": [
                {"record": record, "identity": "made", "noun": noun, "fails": why}
                for record, why in every
            ],
            **more,
        }
        write_json(self.root / paths.plan_file(plan), content)
        self._receipts[plan] = str(paths.fill(paths.receipt(rule), **place, plan=plan))
        return plan

    def saes(self, plan, hook, results, **more):
        """Write a plan of SAEs that are named, or (name, why it fails)."""
        place = {"model": "world-s", "dataset": "world", "packing": "sae-256", "hook": hook}
        every = [one if isinstance(one, tuple) else (one, None) for one in results]
        records = [(SAE.format(hook=hook, name=name), why) for name, why in every]
        return self.add(plan, "train_saes", place, records, **more)

    def model(self, plan, **more):
        """Write the plan of a model."""
        record = "results/models/world-s/model.json"
        return self.add(plan, "train_lm", {"model": "world-s"}, [record], **more)

    def command(self, *options):
        """Return a call of Snakemake for every receipt."""
        receipts = json.dumps({"receipts": list(self._receipts.values())})
        (self.root / "config.json").write_text(receipts)
        command = [sys.executable, "-m", "snakemake", "-s", str(HERE / "Snakefile")]
        command += ["--configfile", "config.json", "--cores", "1", "--keep-going", "--nolock"]
        return [*command, "--logger", "saeflow", *options]

    def run(self, *options):
        """Run Snakemake and return its exit code, stdout and stderr."""
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "workflow")}
        done = subprocess.run(
            self.command(*options), cwd=self.root, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def passes(tmp_path):
    return Passes(tmp_path)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for name in ("passes", "run"):
        monkeypatch.setattr(f"snakemake_logger_plugin_saeflow.{name}.time", clock)
    return clock
