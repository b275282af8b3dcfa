"""Activations whose sparse dictionary is known, and SAEs trained on a stream of them."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from sae_stores import place, task_of
from saeflow.sae.steps.step import Batch, Workspace
from saeflow.sae.training.train import SAEObjective
from saeflow.sae.training.trainee import Trainee


class Dictionary:
    """Directions that are there or not, each by itself, with strengths between two numbers.

    Attributes
    ----------
    rows : Tensor (n, d)
        The directions, of unit norm.
    """

    def __init__(self, rows, *, mean_l0, strengths=(0.5, 1.5)):
        self.rows = rows / rows.norm(dim=1, keepdim=True)
        self.share, self.strengths = mean_l0 / len(rows), strengths

    @classmethod
    def random(cls, n, d, *, seed, **options):
        return cls(torch.randn(n, d, generator=_generator(seed)), **options)

    @classmethod
    def orthogonal(cls, d, *, seed, **options):
        return cls(torch.linalg.qr(torch.randn(d, d, generator=_generator(seed))).Q, **options)

    def sample(self, n, generator):
        """Return n activations (n, d)."""
        shape = n, len(self.rows)
        active = torch.rand(shape, generator=generator) < self.share
        low, high = self.strengths
        return (active * (low + (high - low) * torch.rand(shape, generator=generator))) @ self.rows

    def recovery(self, sae):
        """Return for each direction the largest cosine with a decoder row, (n,)."""
        rows = sae.W_dec / sae.W_dec.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return (self.rows @ rows.T).amax(1)

    def shortfall(self, sae, strength):
        """Return by how much each direction, alone and of this strength, comes out too weak."""
        x_hat = sae(strength * self.rows) - sae.b_dec
        return strength - (x_hat * self.rows).sum(1)


def _generator(seed):
    """Return a generator apart from that of an SAE's first weights, which draws rows alike."""
    return torch.Generator().manual_seed(seed + 1_000_003)


def train(dictionary, settings, root, *, seed=0, moments=None):
    """Return the SAE that these settings make of ``settings["tokens"]`` fresh activations.

    ``moments`` are those by which recipes scale their inputs.
    """
    d = dictionary.rows.shape[1]
    rows = SimpleNamespace(d_in=d, d_out=d, moments=moments, target_moments=moments)
    objective = SAEObjective({"seed": seed, **settings}, rows=rows, header={"hook": "toy"})
    task = task_of(place(root, f"{settings['architecture']}-{seed}"), {})
    trainee = Trainee(task, objective, settings["tokens"])
    trainee.resume(torch.device("cpu"))
    generator, workspace = torch.Generator().manual_seed(seed), Workspace()
    for _ in range(trainee.n_steps):
        trainee.train(Batch(dictionary.sample(objective.run.batch_size, generator)), workspace)
    return objective.result(trainee.weights, {"tokens": settings["tokens"]})
