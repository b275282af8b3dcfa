"""List the places in a model where activations can be read: site, block and width.

MODEL is a name under `models` in the configuration, fetched or trained already, or a local
directory in Hugging Face's form. A directory's model is loaded and tried with a few tokens; where
there are no weights, with random ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from saeflow.models.facts import ModelFacts

HELP = "list the hooks of a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    parser.add_argument("model", metavar="MODEL", help="a model's name, or a directory")
    add_configfile(parser)


def run(options: argparse.Namespace) -> int:
    """Print one hook a line, with its width."""
    if (Path(options.model) / "config.json").is_file():
        facts = _tried(Path(options.model))
    else:
        facts = _recorded(options.model, options.configfile)
    print(f"# {facts.architecture}: {facts.n_layers} blocks, width {facts.d_model}")
    for hook in facts.hooks():
        print(f"{str(hook):<16} {facts.d_model}")
    for site, why in facts.reasons.items():
        print(f"# {site} is not offered{' everywhere' if site in facts.sites else ''}: {why}")
    return 0


def _recorded(name: str, configfile: Path) -> ModelFacts:
    """Return what the record of a model says."""
    from saeflow import paths
    from saeflow.config.checks import resolve
    from saeflow.config.reading import read_config
    from saeflow.errors import ConfigError
    from saeflow.files import read_json
    from saeflow.models.facts import record_facts
    from saeflow.plan.current import recorded_identity

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
    return record_facts(read_json(record))


def _tried(directory: Path) -> ModelFacts:
    """Load a model and try it."""
    import torch
    from transformers import AutoModelForCausalLM

    from saeflow.models.facts import record_facts
    from saeflow.models.load import load_directory
    from saeflow.models.record import has_weights, read_config
    from saeflow.models.trial import try_model

    if has_weights(directory):
        model = load_directory(directory)
    else:
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(read_config(directory)).float().eval()
        for parameter in model.parameters():  # where families begin with zeros, sites look alike
            parameter.data += 0.02 * torch.randn_like(parameter)
    return record_facts({"architecture": type(model).__name__, **try_model(model)})
