"""SAEs in the formats of others, read into ours and written from ours.

What an architecture computes is said once, in SAELens' words (cfg.json keys and tensors, since
version 6): between them and ours translate this module and `save.config`, between them and a
format's files the modules of `saeflow.sae.formats`. Read `read_foreign`, `export`.

A module of `saeflow.sae.formats` has

    TITLE                          what the format is, for messages
    FILES                          the files of a directory that are read, written out; not where
                                   the format is one file
    fits(place)                    whether the files at a `Place` look like it
    read(place, **options)         -> Foreign
    write(foreign, directory)      files of the format; only where it can be written. What the
                                   format cannot express is a `ModelError` that says why
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saeflow import registry
from saeflow.config.base import Section
from saeflow.errors import ConfigError, ModelError
from saeflow.files import sha256_file
from saeflow.hooks import Hook
from saeflow.sae.model import ARCHITECTURES, SAE
from saeflow.sae.saved import pickles
from saeflow.sae.saved.files import AUTO, FORMATS, files_read
from saeflow.sae.saved.save import config, lasting
from saeflow.sae.saved.tensors import Tensors, listed, read_tensors, require_tensors

_NORMS = {
    "none": "none",
    "layer_norm": "layer_norm",
    "constant_norm_rescale": "constant_norm",
}  # fmt: skip
THRESHOLDED = ("batchtopk", "matryoshka_batchtopk")
"""SAELens' names of checkpoints that are JumpReLU SAEs outside of training."""
_NOT_OURS = ("abstopk", "matching_pursuit", "temporal", "transcoder", "skip_transcoder")


class Foreign(NamedTuple):
    """An SAE in SAELens' words.

    Attributes
    ----------
    cfg, weights : dict
        Keys of a cfg.json of version 6 that say what is computed, and tensors by SAELens' names.
    facts : dict
        What else the files say: ``hook`` (ours or TransformerLens' name), ``model_name``,
        ``context_length``, ``center_input`` (whether the model's residual stream had its mean
        taken off), ``source``.
    """

    cfg: dict[str, Any]
    weights: dict[str, Tensor]
    facts: dict[str, Any] = {}  # noqa: RUF012


class Place:
    """A file or a directory in which some SAE may lie.

    Attributes
    ----------
    path : Path
        The file or directory.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise ModelError(
                "there is no such file or directory",
                where=self.path,
                expected="a file or directory of one of the formats of docs/saes.md",
            )

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of a directory's files, of those that any format reads; none for a file."""
        if not self.path.is_dir():
            return frozenset()
        return frozenset(name for name in files_read(AUTO) if (self.path / name).is_file())

    @cached_property
    def content(self) -> Any:
        """What a pickled file holds, read by `pickles.load`; None for anything else."""
        if self.path.is_file() and self.path.suffix in (".pt", ".pth", ".pkl", ".bin"):
            found = pickles.load(self.path)
            return Tensors(found, self.path) if isinstance(found, Mapping) else found
        return None

    @property
    def described(self) -> str:
        """What is there, for messages: names, with the shapes of tensors."""
        if self.path.is_dir():
            there = sorted(file.name for file in self.path.iterdir())
            return ", ".join(there) or "an empty directory"
        found = self.content
        if isinstance(found, pickles.Holder):
            return f"a {found.kind} with {listed(found.attributes())}"
        if isinstance(found, Mapping):
            return listed(found)
        return "a file of another kind" if found is None else f"a {type(found).__name__}"

    def tensors(self, name: str) -> Tensors:
        """Return the tensors of a file in this directory: safetensors, or of `torch.save`."""
        file = self.path / name
        if name.endswith(".safetensors"):
            return Tensors(read_tensors(file, remedy="Copy or fetch the file again."), file)
        content = pickles.load(file)
        if not isinstance(content, Mapping):
            raise ModelError(
                "the file does not hold tensors by name",
                where=file,
                expected="a dictionary of tensors",
                got=type(content).__name__,
            )
        return Tensors(content, file)


def detect(place: Place) -> str:
    """Return the name of the format of the files at ``place``."""
    found = [name for name in registry.names(FORMATS) if registry.load(FORMATS, name).fits(place)]
    if len(found) != 1:
        raise ModelError(
            "it is not clear which format this SAE has" if found else "no known format fits this",
            where=place.path,
            expected=" | ".join(registry.names(FORMATS)),
            got=", ".join(found) or place.described,
            remedy="Name its format."
            if found
            else "Name its format, if it has one of these, and the message says what is missing.",
        )
    return found[0]


def read_foreign(
    path: Path | str, name: str = AUTO, *, center_input: bool | None = None, **options: Any
) -> SAE:
    """Return an SAE that another program wrote.

    ``name`` is a module of `saeflow.sae.formats`; "auto" looks at the files. ``center_input`` says
    whether it was trained on activations with their mean over d_in taken off, as TransformerLens'
    processed weights give them; it then takes the mean off by itself, and puts it back. None leaves
    it to what the format or the files say. ``options`` are of the format: ``entry`` chooses one of
    several SAEs in a file.

    Raises
    ------
    ModelError
        If the format or the architecture is not known, or cannot be read exactly.
    DamagedError
        If files are missing or torn, or a tensor is missing, misshapen or not finite.
    """
    place = Place(path)
    if name == AUTO:
        name = detect(place)
    foreign = registry.load(FORMATS, name).read(place, **options)
    if center_input is not None:
        foreign = foreign._replace(facts={**foreign.facts, "center_input": center_input})
    return as_sae(foreign, where=place.path, origin=name)


def as_sae(foreign: Foreign, *, where: Path, origin: str) -> SAE:
    """Return the SAE that SAELens' words describe; ``origin`` is the format, for the header."""
    cfg = foreign.cfg
    name, norm = cfg.get("architecture"), cfg.get("normalize_activations") or "none"
    if name is None:
        raise no_architecture(where)
    if cfg.get("reshape_activations", "none") != "none":
        raise ModelError(
            "an SAE of several heads' outputs, flattened, has no hook here",
            where=where,
            expected="reshape_activations: none",
            got=cfg["reshape_activations"],
        )
    if norm not in _NORMS:
        raise ModelError(
            "this SAE scales its inputs by a number that its files do not give",
            where=where,
            expected=" | ".join(_NORMS),
            got=f"normalize_activations: {norm}",
            remedy="Fold the scale into the weights where it was trained, then save it again.",
        )
    ours, rule = _architecture(name, where)
    require_shapes(cfg, foreign.weights, where)
    weights = {name: w.detach().float().contiguous() for name, w in foreign.weights.items()}
    settings, weights = from_saelens(rule, cfg, weights)
    metadata = {"format_read": origin, **_known(foreign.facts)}
    if _NORMS[norm] != "none":  # both take the mean off, or do not mind it
        metadata["input_norm"] = _NORMS[norm]
    elif metadata.get("center_input"):
        metadata["input_norm"] = "center"
    return SAE(ours, settings, weights, metadata)


def from_saelens(
    rule: ModuleType, cfg: Mapping[str, Any], weights: dict[str, Tensor]
) -> tuple[Section, dict[str, Tensor]]:
    """Return our settings, and the weights that they go with; of a penalty, nothing is known.

    A top-k that selects by pre-activation times decoder norm is brought to unit-norm rows, where
    both rules are one.
    """
    found = {"subtract_b_dec": cfg.get("apply_b_dec_to_input", True)}
    if rule.SAELENS != "topk":
        return rule.Settings.read(
            {rule.Recipe.COEFFICIENT: 0.0, **found}, where="cfg.json"
        ), weights
    if "k" not in cfg:
        raise ConfigError(
            "a TopK SAE says its k", where="cfg.json > k", expected="an integer", got="no k"
        )
    settings = rule.Settings.read({"k": int(cfg["k"]), **found}, where="cfg.json")
    if cfg.get("rescale_acts_by_decoder_norm", False):
        norm = weights["W_dec"].norm(dim=1)
        weights = {
            **weights,
            "W_enc": weights["W_enc"] * norm,
            "b_enc": weights["b_enc"] * norm,
            "W_dec": weights["W_dec"] / norm[:, None],
        }
    return settings, weights


def require_shapes(cfg: Mapping[str, Any], weights: Mapping[str, Tensor], where: Path) -> None:
    """Raise unless weights fit together and to what their cfg.json says; both in SAELens' words.

    A format that computes with weights asks for it before.
    """
    name = cfg["architecture"]
    vectors = ("b_enc",) if name in THRESHOLDED else _architecture(name, where)[1].VECTORS
    widths = {key: cfg.get(key) for key in ("d_in", "d_sae", "d_out")}
    require_tensors(weights, vectors, where=where, **widths)


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in facts.items() if value is not None}
    hook = known.pop("hook", None)
    if hook is not None:
        ours = Hook.find(hook)
        known["hook" if ours else "foreign_hook"] = str(ours or hook)
    name = known.pop("model_name", None)
    return known | ({"model": {"name": name}} if name is not None else {})


def _architecture(name: str, where: Path) -> tuple[str, Any]:
    for ours in registry.names(ARCHITECTURES):
        rule = registry.load(ARCHITECTURES, ours)
        if name in rule.SAELENS_NAMES:
            return ours, rule
    known = [
        saelens
        for ours in registry.names(ARCHITECTURES)
        for saelens in registry.load(ARCHITECTURES, ours).SAELENS_NAMES
    ]
    raise ModelError(
        "the SAE's architecture is not known",
        where=where,
        expected=" | ".join(known),
        got=name,
        remedy="It is another kind of dictionary than this project trains and measures."
        if name in _NOT_OURS
        else None,
    )


def no_architecture(where: Path) -> ModelError:
    """Return the error for files that do not say how to read them."""
    # a guess would read a TopK as a ReLU without a word
    return ModelError(
        "the file does not say which architecture the SAE has",
        where=where,
        expected="architecture",
        got="none",
        remedy="Add the key, if you know it; it is never assumed.",
    )


def export(sae: SAE, directory: Path, name: str) -> None:
    """Write an SAE in a format of others.

    Raises
    ------
    ModelError
        If the format cannot be written, or cannot express this SAE; the message says what.
    """
    module = registry.load(FORMATS, name)
    if not hasattr(module, "write"):
        raise ModelError(
            f"{module.TITLE} is read here, not written",
            expected="saelens | dictionary_learning | sparsify",
            got=name,
        )
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    weights = {n: w.detach().cpu().contiguous() for n, w in lasting(sae.weights).items()}
    module.write(Foreign(config(sae), weights, dict(sae.metadata)), directory)


def cannot(format_title: str, why: str, remedy: str | None = None) -> ModelError:
    """Return the error for an SAE that a format cannot express."""
    return ModelError(
        f"{format_title} cannot express this SAE: {why}",
        got=format_title,
        remedy=remedy or "Write it in another format: SAELens' holds every SAE.",
    )


def no_counterpart(
    meaning: str, key: str, expected: object, got: object, where: object
) -> ModelError:
    """Return the error for an SAE of others that computes what none of ours does."""
    return ModelError(
        f"this SAE has no counterpart here: {meaning}",
        where=where,
        expected=f"{key}: {expected}",
        got=f"{key}: {got}",
        remedy="Choose another SAE; this one cannot be measured here.",
    )


def require_plain(
    config: Mapping[str, Any], plain: Mapping[str, tuple[object, str]], where: object
) -> None:
    """Raise where a key of a configuration says another thing than ``plain``: (value, meaning)."""
    for key, (value, meaning) in plain.items():
        if (config.get(key) or value) != value:
            raise no_counterpart(meaning, key, value, config[key], where)


def sources(*files: Path) -> dict[str, str]:
    """Return the hash of each file that an SAE was read from, by its name."""
    return {file.name: sha256_file(file) for file in files}


def number(value: Any) -> float:
    """Return a number that may be stored as a tensor."""
    return float(value.item() if isinstance(value, torch.Tensor) else value)
