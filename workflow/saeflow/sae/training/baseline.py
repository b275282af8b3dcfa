"""Baselines: SAEs like any other, made without steps. Read `fit_baseline`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from saeflow import registry
from saeflow.config import saes
from saeflow.config.base import Section
from saeflow.errors import ConfigError
from saeflow.sae.baselines import BASELINES
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.sparse.select import top_k
from saeflow.sae.steps.initial import directions
from saeflow.sae.training.log import TrainLog
from saeflow.sae.training.rows import TrainingRows
from saeflow.task import Task

Fit = tuple[dict[str, Any], dict[str, Tensor]]
"""The settings of the architecture and the weights of a baseline."""

_Section = TypeVar("_Section", bound=Section)
_EVIDENCE_ROWS = 1024
_DRAWN_ROWS, _BLOCK_ROWS = 1 << 15, 1 << 12


def fit_baseline(task: Task, rows: TrainingRows, header: Mapping[str, Any]) -> None:
    """Fit a baseline to the training rows and finish its task.

    The task's settings are ``architecture`` (the baseline's name), ``seed`` and its own; its
    metadata say ``header`` besides.
    """
    settings, work = task.settings, task.work
    sae = baseline(settings, rows)
    facts = {
        **header,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "seed": settings["seed"],
        "settings": dict(settings),
        "baseline": settings["architecture"],
        "training": {"tokens": 0, "final": {}},
    }
    work.restart()
    TrainLog(work.path, every=1, d_in=sae.d_in).start()  # of no steps
    drawn = rows.draw(_EVIDENCE_ROWS, settings["seed"])
    save(
        SAE(sae.architecture, sae.settings, sae.weights, facts),
        work.path,
        drawn.x,
        rows="a draw of training rows",
    )
    task.finish(header_of(work.path))


def baseline(settings: Mapping[str, Any], rows: TrainingRows) -> SAE:
    """Return a fitted baseline; its settings and rows are those of `fit_baseline`."""
    name = settings["architecture"]
    own = {key: value for key, value in settings.items() if key != "seed"}
    generator = torch.Generator().manual_seed(settings["seed"])
    # by name, so that a baseline is no code of the others
    values, weights = registry.function(f"{__name__}:{name}")(own, rows, generator)
    architecture = BASELINES[name]
    return SAE(architecture, architecture_settings(architecture, values), weights)


def identity(settings: Mapping[str, Any], rows: TrainingRows, _: torch.Generator) -> Fit:
    """Return what gives x back to the last bit: what a perfect dictionary scores, at l0 = d_in."""
    _read(saes.Identity, settings)
    return {"l1": 0.0}, signed(torch.eye(rows.d_in), torch.zeros(rows.d_in))


def zero(settings: Mapping[str, Any], rows: TrainingRows, _: torch.Generator) -> Fit:
    """Return what gives 0: one latent that is never active."""
    _read(saes.Zero, settings)
    zeros = torch.zeros(1, rows.d_in)
    return {"l1": 0.0}, signed(zeros, zeros[0])


def mean(settings: Mapping[str, Any], rows: TrainingRows, _: torch.Generator) -> Fit:
    """Return what gives the mean of the training rows: by definition an fvu of 1 on them."""
    _read(saes.Mean, settings)
    return {"l1": 0.0}, signed(torch.zeros(1, rows.d_in), rows.moments.mean)


def pca(settings: Mapping[str, Any], rows: TrainingRows, _: torch.Generator) -> Fit:
    """Return the projection on the leading principal components, the first explaining most.

    With as many components as an SAE has active latents it is the linear map of that rank with the
    least squared error, the fair comparison at equal l0; with all of them x_hat is x. The sense of
    a component is fixed by its largest entry, which is positive.
    """
    wished = _read(saes.PCA, settings).components
    n = rows.d_in if wished is None else wished
    if n > rows.d_in:
        raise ConfigError(
            "there are fewer principal components than that",
            where="components",
            expected=f"at most {rows.d_in}",
            got=n,
        )
    _, vectors = torch.linalg.eigh(rows.covariance)
    leading = vectors.flip(1)[:, :n].T
    largest = leading.gather(1, leading.abs().argmax(1, keepdim=True))
    return {"l1": 0.0, "subtract_b_dec": True}, signed(leading * largest.sign(), rows.moments.mean)


def random(settings: Mapping[str, Any], rows: TrainingRows, generator: torch.Generator) -> Fit:
    """Return random unit directions, the k nearest of each input, nothing learned but size.

        f = ReLU(TopK((x - mean) W^T)),  x_hat = a f W + mean

    The one number a is the least-squares factor on a draw of training rows, since k directions
    that overlap would make x_hat too long. What an SAE explains beyond this it has learned.
    """
    options = _read(saes.Random, settings)
    center, d_sae = rows.moments.mean.float(), round(options.expansion * rows.d_in)
    W = directions(d_sae, rows.d_in, generator=generator, like=center)
    x = rows.draw(_DRAWN_ROWS, generator.initial_seed()).x
    inner, square = 0.0, 0.0
    for part in (x - center).split(_BLOCK_ROWS):
        x_hat = top_k(part @ W.T, options.k).decode(W).double()
        inner += float((x_hat * part).sum())
        square += float(x_hat.square().sum())
    a = inner / square if square else 1.0
    weights = {"W_enc": W.clone().T, "b_enc": W.new_zeros(d_sae), "W_dec": W * a, "b_dec": center}
    return {"k": options.k, "subtract_b_dec": True}, weights


def _read(section: type[_Section], settings: Mapping[str, Any]) -> _Section:
    return section.read(settings, where=f"settings of the baseline {settings['architecture']}")


def signed(rows: Tensor, center: Tensor) -> dict[str, Tensor]:
    """Return the weights of a ReLU SAE that gives (x - center) rows^T rows + center.

    ``rows`` (n, d) are directions, ``center`` (d,) is subtracted before encoding and added after
    decoding. There are 2 n latents, one for each sense of a direction, c = ReLU(c) - ReLU(-c), so
    that a code is never negative and n latents are active at most.
    """
    both = torch.cat([rows, -rows]).float().contiguous()
    return {
        "W_enc": both.clone().T,
        "b_enc": both.new_zeros(len(both)),
        "W_dec": both,
        "b_dec": center.float(),
    }
