import typing

import numpy as np
import pytest

from saeflow.config.probing import CodeProbe, Probing, StateProbe
from saeflow.cost.probes import fits_of_codes, fits_of_states
from saeflow.labelled.labelled import LabelledTask
from saeflow.probing.methods import methods_of
from saeflow.probing.probe import Input, probe_task

N_TRAIN, N = 80, 100
FEW = {
    "train": 64, "sizes": [4, 32, 128], "shares": [0.25, 0.5], "flips": [0.2], "seeds": [0, 1],
    "permutations": 3,
    "penalties": [1.0],
}  # fmt: skip


def settings_of(**sections):
    return Probing.model_validate({**FEW, **sections}).model_dump()


def nothing(**settings):
    """Return a section in which no setting has a probe but some."""
    names = ("normal", "scarcity", "imbalance", "noise", "shift", "shuffled")
    return {name: [] for name in names} | settings


@pytest.mark.parametrize(
    ("setting", "n"),
    [("normal", 2), ("scarcity", 2 * 2), ("imbalance", 2 * 2), ("noise", 2), ("shuffled", 2 * 3)],
)
def test_fits_are_counted_by_training_sets_and_seeds(setting, n):
    states = nothing(**{setting: ["logistic", "knn"]}, centred=[])
    assert fits_of_states(settings_of(states=states), N_TRAIN, 8).n == 2 * n
    codes = nothing(**{setting: ["k_sparse"]}, controls=[], ks=[1, 2, 4], few_ks=[2, 4])
    fits = fits_of_codes(settings_of(codes=codes), N_TRAIN, 8, 32)
    assert fits.n == n * (3 if setting == "normal" else 2)


def test_as_many_are_counted_as_are_fitted():
    settings = settings_of(states=nothing(normal=["pca_at_k"], scarcity=["knn"], ks=[1, 2, 4]))
    settings["states"]["centred"] = []
    methods = {
        name: methods_of(own, settings, ks=settings["states"]["ks"])
        for name, own in settings["states"].items()
        if name in ("normal", "scarcity")
    }
    rng = np.random.default_rng(0)
    splits = np.where(np.arange(N) < N_TRAIN, "train", "test")
    labels = np.arange(N) % 2
    task = LabelledTask("t", "t", np.arange(N), labels.astype(np.int8), splits, {})
    given = Input("states", "last", rng.standard_normal((N, 8)), methods)
    found = probe_task(task, given, settings)
    assert fits_of_states(settings, N_TRAIN, 8).n == len(found.fits)


def test_other_poolings_repeat_the_normal_and_the_shuffled_setting():
    settings = settings_of(states={"centred": []})
    one, two, three = (fits_of_states(settings, N_TRAIN, 8, poolings=n).n for n in (1, 2, 3))
    of = settings["states"]
    again = len(of["normal"]) - 1 + len(of["ks"]) + 3 * len(of["shuffled"])
    assert two - one == three - two == 2 * again


@pytest.mark.parametrize("name", typing.get_args(StateProbe))
def test_every_probe_of_states_has_a_cost_that_grows_with_rows_and_width(name):
    settings = settings_of(train=4096, states=nothing(normal=[name], centred=[]))
    low, high = (fits_of_states(settings, n, d) for n, d in ((500, 64), (1000, 1024)))
    assert low.n == high.n
    assert 0 < low.seconds <= high.seconds


@pytest.mark.parametrize("name", typing.get_args(CodeProbe))
def test_every_probe_of_codes_has_a_cost_that_grows_with_latents(name):
    settings = settings_of(codes=nothing(normal=[name], controls=[]))
    assert 0 < fits_of_codes(settings, 500, 64, 512).seconds
    low, high = (fits_of_codes(settings, 500, 64, d_sae).seconds for d_sae in (512, 4096))
    assert low < high


def test_what_codes_are_held_against_costs_what_it_costs_of_states():
    without, held = (
        fits_of_codes(settings_of(codes=nothing(controls=controls)), N_TRAIN, 64, 512)
        for controls in ([], ["decoded", "residual"])
    )
    published = settings_of(states=nothing(normal=["published"], centred=[]))
    assert without == (0, 0)
    one = fits_of_states(published, N_TRAIN, 64)
    assert held == (2 * one.n, pytest.approx(2 * one.seconds))
