"""SIGKILL at every kind of moment: before any flush and any rename, in the harvest and its end."""

import os
import shutil
import signal

import numpy as np
import pytest

from saeflow.activations.reader import open_store
from saeflow.activations.writer import ShardWriter
from saeflow.files import hash_tree
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

HOOKS = ["resid_post.0", "mlp_out.2"]
LENGTHS = {"train": [30, 5, 17, 32, 2, 9, 32, 21] * 6, "validation": [11, 7], "test": [32, 1]}
FEW, MANY = 3, 20


def harvested(place, model, tokens, die_at, log):
    """Harvest, and die before the ``die_at``-th flush or rename; count them into ``log``."""
    n = 0

    def counting(function):
        def call(*arguments, **options):
            nonlocal n
            n += 1
            if n == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    finalise = ShardWriter.finalise

    def noting(writer):
        log.write_text(log.read_text() + f"finalise {n}\n")
        return finalise(writer)

    log.write_text("")
    ShardWriter.finalise = noting
    os.fsync, os.replace = counting(os.fsync), counting(os.replace)
    harvest_hooks(place, HOOKS, model, tokens)
    log.write_text(log.read_text() + f"end {n}\n")


class Case:
    """A harvest that can be killed."""

    def __init__(self, root, processes):
        self.root, self._processes = root, processes
        self.model = save_model(make_model("gpt_neox"), root / "model.json")
        self.tokens = make_tokens(root, LENGTHS)
        log = root / "log"
        assert self.run(root / "whole", 0) == 0
        steps = [int(line.split()[1]) for line in log.read_text().splitlines()]
        self.finalise, self.end = steps[0], steps[-1]
        self.whole = self.content(root / "whole")

    def run(self, place, die_at):
        """Harvest in a process of its own; return its exit code."""
        arguments = (place, self.model, self.tokens, die_at, self.root / "log")
        process = self._processes.Process(target=harvested, args=arguments)
        process.start()
        process.join()
        return process.exitcode

    def content(self, place):
        """The bytes of every store and of the row table."""
        records = [place / f"{hook}.json" for hook in HOOKS]
        for record in records:
            open_store(record).verify()
        # Beside the stores the copy of a small record may stay; a record is written without a lock.
        assert not list(place.glob("*.zarr*/**/*.tmp"))
        found = {r.name: hash_tree(bulk_of(r)) for r in records}
        (rows,) = place.glob("rows.*.zarr")
        return {**found, "rows": hash_tree(rows)}


@pytest.fixture(scope="module")
def case(tmp_path_factory, processes):
    return Case(tmp_path_factory.mktemp("kills"), processes)


def check_kills(case, place, points):
    """Kill one run after the other at these points of it, then let one end."""
    for point in points:
        code = case.run(place, point)
        if code == 0:  # so little was left that the point never came
            shutil.rmtree(place)
        else:
            assert code == -signal.SIGKILL
    harvest_hooks(place, HOOKS, case.model, case.tokens)
    assert case.content(place) == case.whole


def points(case, first, end, n):
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    return [int(point) for point in rng.integers(first, end, n, endpoint=True)]


@pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_killed_at_random_points_of_the_harvest_no_row_is_lost_or_changed(case, tmp_path, n):
    check_kills(case, tmp_path / "torn", points(case, 1, case.finalise, n))


@pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_killed_at_random_points_of_its_end_no_row_is_lost_or_changed(case, tmp_path, n):
    for number, point in enumerate(points(case, case.finalise + 1, case.end, n)):
        place = tmp_path / str(number)
        assert case.run(place, point) == -signal.SIGKILL
        harvest_hooks(place, HOOKS, case.model, case.tokens)
        assert case.content(place) == case.whole
        shutil.rmtree(place)
