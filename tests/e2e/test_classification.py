"""The study of classification on a model, reviews and datasets that nobody here made."""

import os
from functools import partial
from pathlib import Path

import pytest

from e2e import running

PEERS = Path(os.environ.get("SAEFLOW_PEERS", running.ROOT / ".peers"))

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cores")]


@pytest.fixture(scope="module")
def finished(real_data, tmp_path_factory):
    """A directory in which the study was run."""
    found = sorted(PEERS.glob("lib/python*/site-packages/sae_probes/data"))
    if not found:
        pytest.skip(f"no sae-probes under {PEERS}; run python tests/interop/install.py")
    directory = tmp_path_factory.mktemp("classification")
    (directory / "sae-probes").symlink_to(found[0])
    return running.run_study("classification", directory, real_data)


table = partial(running.table, "classification")


def test_a_second_run_has_nothing_to_do(finished):
    running.assert_nothing_to_do("classification", finished)


def test_permuted_labels_are_chance(finished):
    control = table(finished, "probe_control").query("labelled == 'probes'")
    assert abs(control["auc"].mean() - 0.5) < 0.02


def test_all_latents_of_many_texts_tell_more_than_one(finished):
    probes = table(finished, "probes").query("labelled == 'probes' and pooling == 'last'")
    sparse = probes[(probes["probe"] == "k_sparse") & (probes["setting"] == "normal")]
    by_k = sparse.groupby("k")["auc"].mean()
    assert by_k[64] > by_k[1] + 0.05


def test_best_probes_are_far_from_chance_and_no_more_than_right(finished):
    tasks = table(finished, "probe_tasks").query("labelled == 'probes' and setting == 'normal'")
    assert tasks["task"].nunique() >= 25
    assert tasks["auc_baselines"].median() > 0.6
    assert tasks["auc_baselines"].max() <= 1
