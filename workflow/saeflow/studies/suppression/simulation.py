"""The toys of the suppression study: what was predicted for each, and what training found.

Read `simulate`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from saeflow.finetune.closed_form import Decoder, solve
from saeflow.finetune.normal import NormalEquations
from saeflow.sae.sparse.codes import extract
from saeflow.studies.suppression import toys
from saeflow.studies.suppression.theory import dilution, learned_activation, learned_activations
from saeflow.studies.suppression.toys import Features

N_TOKENS = 1000
_REPEATS = 50  # of each token, with noise of its own: a tenth of the error of a single draw
COLUMNS = (
    "experiment", "trained", "c", "d", "p", "g", "overlap", "noise", "quantity", "predicted",
    "simulated",
)  # fmt: skip
TRAINED = {
    "encoder": toys.ENCODER,
    "encoder and b_dec": toys.WITH_BIAS,
    "everything": toys.EVERYTHING,
}
"""What moves in an SAE, by its name in the table."""

SIZES = "sizes"
"""In its place where the codes are given and only the latents' sizes move."""

Row = dict[str, Any]


def simulate(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Train the toys and return prediction and simulation side by side.

    Parameters
    ----------
    settings
        ``d``, lists ``c``, ``g``, ``p``, ``overlap`` and ``noise``, and ``seed``, as in the
        configuration (studies > suppression > theory). What does not vary over c has the largest.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, one row per feature of each toy. ``experiment`` "apart": features at
        right angles, so that each is alone in its direction; "interfering": any two have the
        cosine ``overlap``; "noise": the factor that a fit gives the latents of "apart" when noise
        of so much of their size is put on them. ``quantity`` is what was predicted and found: the
        activation where the feature is there, or that scale.
    """
    largest = max(settings["c"])
    rows = []
    for c in settings["c"]:
        for name, trained in TRAINED.items():
            rows += _apart(settings, c, name, trained)
    for overlap in settings["overlap"]:
        rows += _interfering(settings, largest, overlap)
    rows += _noisy(settings, largest)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _features(settings: Mapping[str, Any]) -> Features:
    """Return every strength at every frequency, each feature along an axis of its own."""
    pairs = np.array(list(itertools.product(settings["g"], settings["p"])), dtype=float)
    random = np.random.default_rng(settings["seed"])
    z = toys.presence(pairs[:, 1], N_TOKENS, random)
    return Features(z, pairs[:, 0], np.eye(settings["d"])[: len(pairs)])


def _apart(
    settings: Mapping[str, Any], c: float, name: str, trained: tuple[str, ...]
) -> Iterator[Row]:
    features = _features(settings)
    bias = "b_dec" in trained
    predicted = learned_activation(features.g, c, settings["d"], features.p, bias=bias)
    found = features.mean_where_there(toys.train(features, c, trained))
    yield from _rows("apart", features, predicted, found, trained=name, c=c)


def _interfering(settings: Mapping[str, Any], c: float, overlap: float) -> Iterator[Row]:
    """Train sizes alone, as the theory has it, and an encoder that may do better."""
    g, d = np.array(settings["g"], dtype=float), settings["d"]
    random = np.random.default_rng(settings["seed"])
    z = toys.presence([settings["p"][0]] * len(g), N_TOKENS, random)
    features = Features(z, g, toys.overlapping(len(g), d, overlap))
    predicted = learned_activations(
        g, features.p, features.directions, c, together=features.together
    )
    encoded = features.mean_where_there(toys.train(features, c, toys.ENCODER))
    for name, found in ((SIZES, toys.train_sizes(features, c)), ("encoder", encoded)):
        more = {"trained": name, "c": c, "overlap": overlap}
        yield from _rows("interfering", features, predicted, found, **more)


def _noisy(settings: Mapping[str, Any], c: float) -> Iterator[Row]:
    """Fit a scale to latents with noise, by the library's closed form."""
    features, d = _features(settings), settings["d"]
    f = toys.train(features, c, toys.ENCODER)
    predicted = learned_activation(features.g, c, d)
    alive = predicted > 0
    features = Features(features.z[:, alive], features.g[alive], features.directions[alive])
    f, predicted = np.tile(f[:, alive], (_REPEATS, 1)), predicted[alive]
    x = features.x.repeat(_REPEATS, 1)
    parent = Decoder(features.directions, np.zeros(d))
    random = np.random.default_rng(settings["seed"])
    for noise in settings["noise"]:
        # even noise has a largest value: no activation becomes negative, which would end it
        even = np.sqrt(3) * random.uniform(-1, 1, f.shape)
        sums = NormalEquations(len(predicted), d)
        sums.add(extract(torch.from_numpy(f * (1 + noise * even)).float(), 0.0), x)
        scale = np.linalg.norm(solve("scale", sums, parent, 0.0).W_dec, axis=1)
        expected = features.g / predicted * dilution(1.0, noise)
        more = {"trained": "encoder", "c": c, "noise": noise, "quantity": "scale"}
        yield from _rows("noise", features, expected, scale, **more)


def _rows(
    experiment: str, features: Features, predicted: np.ndarray, found: np.ndarray, **more: Any
) -> Iterator[Row]:
    for i, (p, g) in enumerate(zip(features.p, features.g, strict=True)):
        yield {
            "experiment": experiment,
            "d": features.directions.shape[1],
            "p": p,
            "g": g,
            "overlap": 0.0,
            "noise": 0.0,
            "quantity": "activation",
            "predicted": predicted[i],
            "simulated": found[i],
            **more,
        }
