"""An SAE at the wrong layer or of another model is refused or warned about, by name."""

from __future__ import annotations

import warnings

import pytest
import torch

from sae_reference import random_weights
from sae_stores import ORIGIN, SEQUENCE, make_activations
from saeflow.errors import ConfigError, ModelError
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.fits import (
    FitWarning,
    check_fits,
    load_fitting,
    require_plain_input,
)
from saeflow.sae.saved.save import save

RECORD = {"d_model": 12, "hook": "resid_post.1", "model": ORIGIN["model"]}


def make(**metadata):
    weights = random_weights(12, 30, seed=0, dtype=torch.float32)
    settings = architecture_settings("topk", {"k": 3})
    header = {"hook": "resid_post.1", "model": ORIGIN["model"], **metadata}
    return SAE("topk", settings, weights, header)


def test_an_sae_at_its_own_place_passes_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_fits(make(), RECORD, where="here")


def test_another_model_of_the_same_shape_is_an_error_unless_accepted():
    other = {**RECORD, "model": {"name": "toy", "weights_sha256": "v" * 64}}
    with pytest.raises(ModelError, match="other weights.*accept 'model'"):
        check_fits(make(), other, where="here")
    check_fits(make(), other, where="here", accept=["model"])


def test_another_hook_is_a_warning_unless_accepted():
    other = {**RECORD, "hook": "resid_post.2"}
    with pytest.warns(FitWarning, match=r"trained at resid_post\.1 and is used at resid_post\.2"):
        check_fits(make(), other, where="here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_fits(make(), other, where="here", accept=["hook"])


def test_another_width_is_always_an_error():
    with pytest.raises(ModelError, match="differ in width"):
        check_fits(make(), {**RECORD, "d_model": 13}, where="here", accept=["model", "hook"])


def test_an_sae_for_processed_weights_is_refused_on_raw_ones():
    sae = make(center_input=True)
    with pytest.raises(ModelError, match="processed weights.*center_input: true"):
        check_fits(sae, RECORD, where="here")
    check_fits(sae, RECORD, where="here", accept=["center_input"])
    check_fits(make(center_input=True, input_norm="center"), RECORD, where="here")


def test_an_unknown_thing_to_accept_is_an_error():
    with pytest.raises(ConfigError, match="everything"):
        check_fits(make(), RECORD, where="here", accept=["everything"])


def test_an_sae_that_prepares_its_inputs_is_not_fine_tuned():
    require_plain_input(make(), where="here")
    with pytest.raises(ModelError, match="layer_norm"):
        require_plain_input(make(input_norm="layer_norm"), where="here")


def rows_of(n, scales):
    g = torch.Generator().manual_seed(3)
    return torch.randn(n, 12, generator=g) * scales + 1


def stored(tmp_path, scales):
    n = 66 * SEQUENCE
    return make_activations(tmp_path, n_sequences=64, x=rows_of(n, scales))


def test_activations_of_another_place_are_noticed_by_their_spread(tmp_path):
    scales = torch.linspace(0.5, 2, 12)
    save(make(hook="resid_post.0"), tmp_path / "sae", rows_of(1000, scales))
    same, other = (stored(tmp_path / name, s) for name, s in
                   (("same", scales), ("other", scales.flip(0))))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_fitting(tmp_path / "sae", same)
        load_fitting(tmp_path / "sae", other, accept=["activations"])
    with pytest.warns(FitWarning, match="another place in the model"):
        load_fitting(tmp_path / "sae", other)


def test_an_sae_without_evidence_is_not_compared(tmp_path):
    save(make(hook="resid_post.0"), tmp_path / "sae")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_fitting(tmp_path / "sae", stored(tmp_path / "a", torch.full((12,), 7.0)))
