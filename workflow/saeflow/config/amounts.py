"""Whether a study has the tokens that it asks for, as far as the configuration itself tells.

What only files tell is checked by `saeflow.plan.possible`. Read `check_amounts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from saeflow.errors import ConfigError
from saeflow.sae.baselines import BASELINES
from saeflow.sae.formats import is_imported

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class Source(NamedTuple):
    """A dataset under a packing, as the configuration has them."""

    dataset: str
    packing: str

    def most(self, config: Mapping[str, Any], split: str) -> int | None:
        """Return how many tokens a split has at most; None where nothing limits them."""
        if not config["datasets"][self.dataset]["splits"][split]:
            return 0
        return config["packings"][self.packing]["tokens"][split]


def check_amounts(config: Mapping[str, Any], study: Mapping[str, Any], file: str) -> None:
    """Raise a `ConfigError` where a study asks for tokens that no split of it can have.

    Parameters
    ----------
    config
        The whole configuration, with defaults filled in and its names found.
    study
        The section of the study.
    file
        Name of the file, for messages.
    """
    trained, tested = (Source(**study[key]) for key in ("train_on", "evaluate_on"))
    _check_limits(config, tested, file)
    _require(config, tested, TEST, "SAEs are measured", file)
    own = [name for name in study["saes"] if "architecture" in config["saes"][name]]
    own = [name for name in own if not is_imported(config["saes"][name])]
    methods = study.get("methods") or ()
    if own or methods:
        _check_limits(config, trained, file)
        _require(config, trained, TRAIN, "SAEs are trained", file)
    most = trained.most(config, TRAIN)
    for name in own:
        if config["saes"][name]["architecture"] not in BASELINES:
            _check_run(config["saes"][name], most, trained, f"{file} > saes > {name}")
    for name in methods:
        method, where = config["methods"][name], f"{file} > methods > {name}"
        _check_run(method, most, trained, where)
        exact = method["solver"] == "exact" and method["ridge"] is None
        if exact and trained.most(config, VALIDATION) == 0:
            raise ConfigError(
                "the ridge is chosen on the validation split, which has no token",
                where=f"{where} > ridge",
                expected=f"{_what_gives(config, trained, VALIDATION)}, or a ridge",
                remedy="Give it tokens, or set the ridge.",
            )


def n_parts(run: Mapping[str, Any]) -> int:
    """Return into how many parts a training's split is cut, of which it reads one."""
    return int((run.get("part") or "1/1").partition("/")[2])


def check_model(config: Mapping[str, Any], where: str, train: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` where a model to be trained here would have nothing to read.

    Parameters
    ----------
    config
        The whole configuration.
    where
        Place of ``train``, for messages.
    train
        The model's section of that name.
    """
    source, file = Source(train["dataset"], train["packing"]), where.partition(" > ")[0]
    _check_limits(config, source, file)
    _require(config, source, TRAIN, "a model is trained", file)
    positions, longest = train["context_length"], config["packings"][source.packing]
    if positions is not None and positions < longest["context_length"]:
        raise ConfigError(
            "the model has fewer positions than its sequences have tokens",
            where=f"{where} > context_length",
            expected=f"at least {longest['context_length']}, as packings > {source.packing}",
            got=positions,
            remedy="Raise it, or lower the packing's context_length.",
        )


def _check_limits(config: Mapping[str, Any], source: Source, file: str) -> None:
    """Refuse tokens of a split that gets no documents."""
    shares = config["datasets"][source.dataset]["splits"]
    for split, limit in config["packings"][source.packing]["tokens"].items():
        if limit and not shares[split]:
            raise ConfigError(
                f"the dataset '{source.dataset}' gives no documents to the {split} split",
                where=f"{file} > packings > {source.packing} > tokens > {split}",
                expected="0 or null",
                got=limit,
                remedy=f"Give datasets > {source.dataset} > splits > {split} a share, or remove"
                " the limit.",
            )


def _require(config: Mapping[str, Any], source: Source, split: str, use: str, file: str) -> None:
    if source.most(config, split) == 0:
        raise ConfigError(
            f"the {split} split, on which {use}, has no token",
            where=file,
            expected=_what_gives(config, source, split),
            got=0,
            remedy="Give it some.",
        )


def _what_gives(config: Mapping[str, Any], source: Source, split: str) -> str:
    """Return the key that gives a split its tokens."""
    if not config["datasets"][source.dataset]["splits"][split]:
        return f"datasets > {source.dataset} > splits > {split} above 0"
    return f"packings > {source.packing} > tokens > {split} above 0, or null"


def _check_run(run: Mapping[str, Any], most: int | None, source: Source, where: str) -> None:
    """Refuse a training that needs more than ``most`` tokens of a pass, or less than a batch."""
    epochs, tokens, batch = run.get("epochs", 1), run.get("tokens"), run.get("batch_size", 1)
    n = n_parts(run)
    limit = None if most is None else most // n * epochs
    there = f"at most {limit:,}" if limit is not None else ""
    there += f": packings > {source.packing} > tokens > train"
    there += f" in {n} parts" * (n > 1) + " times epochs" * (epochs > 1)
    if None not in (tokens, limit) and tokens > limit:
        raise ConfigError(
            "the training asks for more tokens than there are",
            where=f"{where} > tokens",
            expected=there,
            got=f"{tokens:,}",
            remedy="Lower it, or raise the packing's limit"
            + (" or `epochs`." if "epochs" in run else "."),
        )
    if tokens and tokens < batch:
        raise ConfigError(
            "there is not one step to train",
            where=f"{where} > tokens",
            expected=f"at least batch_size = {batch:,}",
            got=f"{tokens:,}",
            remedy="Raise tokens or lower batch_size.",
        )
    if tokens != 0 and limit is not None and limit < batch:
        raise ConfigError(
            "there are fewer tokens than one batch holds",
            where=f"{where} > batch_size",
            expected=there,
            got=f"{batch:,}",
            remedy="Lower it, or raise the packing's limit.",
        )
