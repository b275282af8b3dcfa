"""The pages about the configuration: every key, and recipes of SAEs with the presets' sources.

Read `configuration_page` and `recipes_page`.
"""
# ruff: noqa: E501  (the text of a page, whose tables have one line per row)

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from saeflow.config.base import Section, each_once
from saeflow.config.presets import PRESETS
from saeflow.config.schema import (
    choices,
    descriptions,
    in_words,
    is_nullable,
    is_section,
    keys_of,
    kinds_of,
    type_of,
    value_of,
)
from saeflow.config.sections import Config, section_of, study_names
from saeflow.files import canonical_json

_HEAD = """# Recipes

Generated from `saeflow.config.presets`. Do not edit.

A recipe is an entry under `saes`; [configuration](configuration.md) lists the keys of each architecture.

## Options of every architecture

| key | what it does |
|---|---|
| `scale_input` | trains on activations times one number, from the exact mean over all training rows. It is folded into biases and thresholds whenever weights are written, so every file and checkpoint takes activations as they are, with unit decoder rows where the architecture has them |
| `normalize_input: constant_norm` | trains on rows that are normalised one by one; the saved SAE does it with whatever it reads and undoes it after decoding (`input_norm` of its header; SAELens' `normalize_activations`). For hooks whose norms grow with the position or the layer: it can be applied at positions that training never saw. `layer_norm` takes the row's mean off too. Not with `scale_input`, nor for transcoders; such SAEs are not fine-tuned |
| `warmup_tokens`, `decay_tokens`, `decay_shape` | the learning rate: a linear rise (none of top-k SAEs by default), a linear or cosine fall, constant between; in tokens, whatever the batches |
| `clip_norm` | shortens the gradient of all weights together, after the part along unit rows was taken off |
| `adam_beta1`, `adam_beta2`, `adam_epsilon` | of Adam |
| `matmul_dtype: bfloat16` | rounds the factors of a training step's dense products: the encoder's, those of codes of which many entries are active, AuxK's. Products are summed in float32, and all else is float32: weights, Adam's means, losses, sparse products, penalties, fine-tuning, measures. A GPU multiplies bfloat16 several times as fast. A CPU gains nothing: its own bfloat16 product took 6 times as long as that of float32 (one core with AVX-512 and without AMX) and rounds the result, so the rounded factors are multiplied in float32 there: what a GPU gives, in 1.1 (TopK) to 1.2 times (dense ReLU) the time of a float32 step |
| `dead_tokens` | the one definition of a dead latent: active on none of the last so many tokens |
| `resample_tokens`, `resample_until_tokens`, `resample_inputs` | dead latents get new weights, as in Towards Monosemanticity |
| `aux_coef`, `aux_k` | of the top-k architectures and JumpReLU: dead latents reconstruct the error (AuxK) |
| `penalties: {ghost_gradients: 1}` | dead latents learn through exponential activations (Anthropic, January 2024); of architectures with one bias per latent |
| `penalties: {decoder_cosine: c}` | decoder rows that point alike cost |
| `target` | a transcoder: the activations of another hook are predicted; measured against these, and put in their place in the model |
| `joined` | a crosscoder: one dictionary of the hook and of other hooks, also of other models that read the same tokens; of `relu` with `norm_weighted` and `error: sum`, or `batchtopk` ([SAEs](saes.md#crosscoders)) |
| `part: "1/2"` | trains on the first half of the training documents in the store's order: as many tokens as the second half, give or take a document, and no document in common. What follows from the training rows (where biases start, `scale_input`, resampling, a wished L0) follows from those of the part. Each part is a pass of its own; `part: ["1/2", "2/2"]` makes a recipe of each. Fitted baselines have it too |
| `tokens: 0` | leaves the random first weights: the baseline of an untrained SAE. b_dec, and of top-k SAEs the encoder's size and the threshold, are fitted to a first batch |

Training is exactly resumable with all of them. SAEs of one hook are trained in one pass and are the bytes of SAEs
trained alone; a transcoder reads two stores, which costs what two hooks cost to read.

## How sparse

What `l1` gives depends on the size of the activations. It shortens each latent by `l1` d_in / 2 (`error: mean`) or
`l1` / 2 (`sum`), in units of the activations, so compare that with their spread, the root of the mean |x - mean|^2: with
a tenth of it, `relu` SAEs of 256 latents had an L0 of about 7, 15 and 24 at blocks 0, 2 and 4 of stories260K, and L0
went about as 1 / `l1`. The spread differs between hooks and models by factors, and so does the right `l1`: 0.03 gave an L0
of 47 to 151 of 256 at one model's hooks, and 3 to 25 with `scale_input: mean_square`, which makes the spread about
sqrt(d_in) everywhere. A warning tells of SAEs with more than a quarter of their latents active, or fewer than one.

**By the wished L0**: `target_l0: 32` in place of the penalty's weight (`l1`, JumpReLU's `l0_coef`), with every
architecture that has one; of top-k SAEs it is `k`. The weight is found before training, for each hook, and is that of all
seeds; `target_l0: [8, 32]` makes a recipe of each. It is written to the log and into the header
(`training > target_l0`: the weight, the L0 that is expected, every trial), and `l1` set to it by hand trains the same
weights. A few short trainings try weights: as many steps at the same learning rates as the training itself, in batches of
a 32nd, and one in batches of an eighth, which shows what the noise of small batches does to L0. That takes a
quarter to two fifths of the rows of one training more (`saeflow plan` counts it); with a small SAE, whose steps cost as much however
small the batch, up to twice its time. A killed search goes on after its last trial.

What it reaches, with 800,000 rows of stories260K (blocks 0, 2 and 4; `relu` with `mean` and with `scale_input: mean_square`,
`gated`, `p_anneal`, `jumprelu`; wishes of 8 to 64 of 256 latents, one SAE of each): 0.88 to 1.03 times the wished L0.
Norm-weighted SAEs at a low learning rate, whose L0 still fell when they ended: 0.81 to 1.18 times. A wish that no
weight comes within a factor of 1.5 of is an error that lists what was tried. With both `l0_coef` and `target_l0`, JumpReLU's loss penalises the distance
from it instead, and nothing is searched.

## Baselines

| recipe | x_hat |
|---|---|
| `{architecture: identity}` | x, to the last bit |
| `{architecture: zero}` | 0 |
| `{architecture: mean}` | the mean of the training rows: fvu 1 on them |
| `{architecture: pca, components: n}` | the projection on n principal components of all training rows; all of them without `components`. With n as the l0 of an SAE it is the fair comparison |
| `{architecture: random, k: 8, expansion: 4}` | the k nearest of random directions, with one fitted size |
| any architecture with `tokens: 0` | that of its first weights |

They are SAEs like any other: the same files, measures and tables. Signed directions take two latents each.

## Many recipes at once

A list where one value is expected makes a recipe of each, several lists one of every combination:

```yaml
saes:
  grid: {architecture: topk, k: [8, 32], expansion: [4, 16]}   # grid-k8-x4, grid-k8-x16, grid-k32-x4, grid-k32-x16
studies:
  suppression:
    saes: [grid]                                               # all four
```

`k`, `expansion` (x), `learning_rate` (lr) and `components` (n) are named shortly, other keys in full (`l1-0.03`). Seeds
are listed in the study. A sweep is as stale as its recipes written out: adding a value trains one SAE.

## Presets

`preset: NAME` gives a recipe the values of a paper, which the recipe's own keys override. They are filled in when the
configuration is read, and results know nothing of the name. The values are for the papers' scale, hundreds of millions
of tokens: a run of a million rows wants larger learning rates and shorter schedules.
"""


_LIMITS = {
    "ge": "≥ {:.12g}",
    "gt": "> {:.12g}",
    "le": "≤ {:.12g}",
    "lt": "< {:.12g}",
    "min_length": "at least {}",
}


def configuration_page() -> str:
    """Return the page about every key of the configuration."""
    parts = [
        "# Configuration",
        "Generated from `saeflow.config`. Do not edit: edit the sections there.",
        f"{_about(Config)} A name that you choose is part of paths: at most 64 letters, digits, `.`,"
        " `_`, `+` or `-`, beginning with a letter or digit. A key that is not listed here is an"
        " error.",
        "In the tables, *required* has no default, and – stands for a key that is not there unless"
        " it is given: nothing is made or limited by it. `a > b` is the key `b` below the key `a`.",
    ]
    for key, field in Config.model_fields.items():
        parts += [f"## {key}", descriptions(Config)[key], *_parts(key, field.annotation)]
    return "\n\n".join(parts) + "\n"


def _parts(key: str, annotation: Any) -> Iterator[str]:
    """Yield what is said of a section below its heading and description."""
    if key == "studies":
        for name in study_names():
            section = section_of(name, where=key)
            yield from (f"### `studies > {name}`", _about(section), _keys(section))
    elif is_section(annotation):
        yield _keys(annotation)
    elif get_origin(annotation) is dict:
        entry = get_args(annotation)[1]
        for tag, kind in (kinds_of(entry) or {"": entry}).items():
            yield f"### `{key} > NAME`{_mark(tag, kind)}"
            yield from (_about(kind), _keys(kind))


def _mark(tag: str, kind: type[Section]) -> str:
    """Return by which key or word an entry is of a kind."""
    if not tag:
        return ""
    word = next(
        (key for key, f in kind.model_fields.items() if choices(f.annotation) == (tag,)), ""
    )
    return f" with `{word}: {tag}`" if word else f" with `{tag}`"


def _about(section: type[Section]) -> str:
    return " ".join(inspect.getdoc(section).split())


def _keys(section: type[Section]) -> str:
    head = ("key", "type", "default", "limits", "meaning")
    lines = [head, ("---",) * len(head), *_rows(section, ())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _rows(section: type[Section], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, field in keys_of(section).items():
        names, below = (*above, key), value_of(field.annotation)
        yield (
            f"`{' > '.join(names)}`",
            _type(type_of(field)),
            _default(field),
            _limits(type_of(field)),
            descriptions(section)[key].replace("|", "\\|"),
        )
        if is_section(below):
            yield from _rows(below, names)


def _type(annotation: Any) -> str:
    known = choices(annotation)
    if known:
        return "this word" if len(known) == 1 else "a choice"
    text, value = in_words(annotation), value_of(annotation)
    if get_origin(value) is list:
        text += f" (items: {in_words(get_args(value)[0])})"
    return text


def _default(field: FieldInfo) -> str:
    default = field.default
    if field.is_required():
        return "*required*"
    if field.default_factory is not None:
        return "–"
    if isinstance(default, Section):
        default = default.plain() if default.model_fields_set else {}
    if default == {} or field.exclude_if is not None:
        return "–"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{default if isinstance(default, str) else canonical_json(default)}`"


def _limits(annotation: Any) -> str:
    known = choices(annotation)
    if known:
        words = (w if isinstance(w, str) else canonical_json(w) for w in known)
        return ", ".join(f"`{word}`" for word in words)
    marks = list(_marks(annotation))
    if value_of(annotation) is str:
        return "–"
    found = [
        text.format(getattr(mark, name))
        for name, text in _LIMITS.items()
        for mark in marks
        if hasattr(mark, name)
    ]
    if AfterValidator(each_once) in marks:
        found.append("each once")
    return ", ".join(found) or "–"


def _marks(annotation: Any) -> Iterator[Any]:
    """Yield the limits of a value, not those of its items."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        for mark in marks:
            yield from getattr(mark, "metadata", [mark])
        yield from _marks(inner)
    elif is_nullable(annotation):
        for one in get_args(annotation):
            yield from _marks(one)


def recipes_page() -> str:
    """Return the page about recipes."""
    parts = [_HEAD]
    for name, preset in PRESETS.items():
        values = ", ".join(f"`{key}: {_shown(value)}`" for key, value in preset.values.items())
        parts.append(f"### `{name}`\n\n{preset.source}. {values}.\n\nNot in it: {preset.missing}\n")
    return "\n".join(parts)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
