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
        name, facts = _tried(Path(options.model))
    else:
        name, facts = _recorded(options.model, options.configfile)
    print(f"# {name}: {facts.n_layers} blocks, width {facts.d_model}")
    for hook in facts.hooks():
        print(f"{str(hook):<16} {facts.d_model}")
    for site, why in facts.reasons.items():
        where = " in every block" if site in facts.sites else ""
        print(f"# {site} is not offered{where}: {why}")
    return 0


def _recorded(name: str, configfile: Path) -> tuple[str, ModelFacts]:
    """Return the class of a model and what its record of a model says."""
    from saeflow import paths
    from saeflow.cli.study import configuration
    from saeflow.errors import ConfigError
    from saeflow.files import read_json
    from saeflow.models.facts import read_facts
    from saeflow.plan.current import recorded_identity
    from saeflow.work import bulk_of

    config = configuration(configfile)
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
    return read_json(record)["architecture"], read_facts(bulk_of(record))


def _tried(directory: Path) -> tuple[str, ModelFacts]:
    """Load a model, try it, and return its class and what was found."""
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
    return type(model).__name__, record_facts(try_model(model), ModelFacts(""))
