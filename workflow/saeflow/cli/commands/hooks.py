"""List the places in a model where activations can be read: site, block and width.

MODEL is a name under `models` in the configuration, fetched or trained already, or a local
directory in Hugging Face's form. No weights are loaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "list the hooks of a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    parser.add_argument("model", metavar="MODEL", help="a model's name, or a directory")
    add_configfile(parser)


def run(options: argparse.Namespace) -> int:
    """Print one hook a line, with its width."""
    directory, trusted = _find(options.model, options.configfile)
    model = _skeleton(directory, trusted)
    from saeflow.models.hooks import available_hooks

    width = model.config.hidden_size
    hooks = available_hooks(model)
    n_blocks = 1 + max(hook.block for hook in hooks)
    print(f"# {type(model).__name__}: {n_blocks} blocks, width {width}")
    for hook in hooks:
        print(f"{str(hook):<16} {width}")
    return 0


def _find(name: str, configfile: Path) -> tuple[Path, bool]:
    """Return the model's directory, and whether its own code may run."""
    from saeflow import paths
    from saeflow.config.checks import resolve
    from saeflow.config.reading import read_config
    from saeflow.errors import ConfigError
    from saeflow.files import read_json
    from saeflow.plan.current import recorded_identity
    from saeflow.work import bulk_of

    if (Path(name) / "config.json").is_file():
        return Path(name), False
    config = resolve(read_config(configfile), file=str(configfile))
    if name.partition("@")[0] not in config["models"]:
        raise ConfigError(
            f"there is no model '{name}'",
            where=f"{configfile} > models",
            expected="one of " + ", ".join(config["models"]) + ", or a directory with config.json",
        )
    record = paths.fill(paths.MODEL, model=name)
    if recorded_identity(record) is None:
        raise ConfigError(
            f"the model '{name}' is not here yet",
            where=record,
            remedy=f"Run `saeflow make {record}`.",
        )
    trusted = bool(read_json(record).get("trust_remote_code", False))
    return bulk_of(record), trusted


def _skeleton(directory: Path, trusted: bool) -> object:
    """Build the model without its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    from saeflow.models.record import read_config as read_model_config

    config = read_model_config(directory, trusted)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=trusted)
