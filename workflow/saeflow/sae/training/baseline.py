"""Fit a baseline, and finish its task: an SAE like any other, made without steps.

What the baselines are is in the modules of `saeflow.sae.baselines`. Read `fit_baseline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saeflow import registry
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.training.log import TrainLog
from saeflow.sae.training.rows import TrainingRows
from saeflow.task import Task

BASELINES = "sae.baselines"
_EVIDENCE_ROWS = 1024


def fit_baseline(task: Task, rows: TrainingRows, header: Mapping[str, Any]) -> None:
    """Fit a baseline to the training rows and finish its task.

    Parameters
    ----------
    task
        Its settings are ``architecture`` (the baseline's name), ``seed`` and its own.
    rows
        What it is fitted to.
    header
        What its metadata say besides.
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
    module = registry.load(BASELINES, name)
    own = {key: value for key, value in settings.items() if key != "seed"}
    options = module.Settings.read(own, where=f"settings of the baseline {name}")
    generator = torch.Generator().manual_seed(settings["seed"])
    values, weights = module.fit(options, rows, generator)
    return SAE(module.ARCHITECTURE, architecture_settings(module.ARCHITECTURE, values), weights)


def signed(rows: Tensor, center: Tensor) -> dict[str, Tensor]:
    """Return the weights of a ReLU SAE that gives (x - center) rows^T rows + center.

    Parameters
    ----------
    rows
        (n, d) directions.
    center
        (d,): subtracted before encoding and added after decoding.

    Returns
    -------
    dict
        Of 2 n latents: one for each sense of a direction, c = ReLU(c) - ReLU(-c), so that a code
        is never negative and n latents are active at most.
    """
    both = torch.cat([rows, -rows]).float().contiguous()
    return {
        "W_enc": both.clone().T,
        "b_enc": both.new_zeros(len(both)),
        "W_dec": both,
        "b_dec": center.float(),
    }
