"""The numbers of the post "Classifying representations of sparse autoencoders" (Annah, 2023).

Pythia 70m and 410m (deduped) on reviews of IMDB; SAEs of Cunningham et al. (2023) on the residual
stream behind some blocks, by block from 0. Accuracies are of logistic regressions on the state, or
the code, of the last token; the error and the cosine of that token over the training texts, as the
post prints them; accuracies as read off its figures, to 0.002.
"""

from __future__ import annotations

from typing import NamedTuple

N_TRAIN, N_TEST = 1802, 1966
"""Reviews after the filter and balancing."""


class OfModel(NamedTuple):
    """What the post says of one model, by block.

    Attributes
    ----------
    n_blocks : int
    states, codes : dict
        Accuracy on the test split of states, and of codes.
    mse, cosine : dict
        Mean squared error per element and mean cosine of reconstructions, on the training split.
    """

    n_blocks: int
    states: dict[int, float]
    codes: dict[int, float]
    mse: dict[int, float]
    cosine: dict[int, float]


_EVEN = range(2, 23, 2)
_STATES_410M = (
    .773, .788, .784, .796, .811, .830, .845, .853, .865, .867, .873, .888,
    .901, .910, .907, .908, .912, .916, .909, .908, .907, .908, .909, .908,
)  # fmt: skip
_CODES_410M = (
    .552, .601, .648, .644, .661, .717, .682, .692, .816, .860, .873,
)  # fmt: skip
_MSE_410M = (
    .0495, .1052, .1255, .1452, .1528, .1179, .1210, .1110, .1367, .1793, .2675,
)  # fmt: skip
_COSINE_410M = (
    .8896, .8728, .8517, .8268, .8036, .8471, .8587, .9230, .9445, .9457, .9071,
)  # fmt: skip

POST = {
    "pythia-70m-deduped": OfModel(
        n_blocks=6,
        states=dict(enumerate((.751, .770, .801, .811, .805, .811))),
        codes={1: .664, 2: .694, 3: .716},
        mse={1: .0309, 2: .0429, 3: .0556},
        cosine={1: .9195, 2: .9371, 3: .9232},
    ),
    "pythia-410m-deduped": OfModel(
        n_blocks=24,
        states=dict(enumerate(_STATES_410M)),
        codes=dict(zip(_EVEN, _CODES_410M, strict=True)) | {23: .902},
        mse=dict(zip(_EVEN, _MSE_410M, strict=True)) | {23: 14.6385},
        cosine=dict(zip(_EVEN, _COSINE_410M, strict=True)) | {23: .8633},
    ),
}  # fmt: skip
"""By the name of the model on the hub, without its owner. The last block's state was taken behind
the final norm, for which its SAE was not made: that is a slip, and not comparable."""

ALWAYS_ON = ("pythia-410m-deduped", 2, 2)
"""Model, block, and how many features are on for any text, the same for all (found by a reader)."""

HUBS = ("Elriggs/pythia-70m-deduped", "Elriggs/pythia-410m-deduped")
"""Where the post's SAEs are."""
ENTRY = 5
"""Which dictionary of each file, from 0."""
