"""Make a control of a model: the same architecture with weights that mean nothing any more.

The entries of each weight are permuted within it, so that every matrix, bias and norm keeps the
values that training gave it, and nothing of their order: structure that an SAE still finds comes
from the architecture, the spread of the weights and the statistics of the text (compare Heap et
al. 2025, "Sparse autoencoders can interpret randomly initialized transformers", who draw weights
anew). Read `shuffle_model`.
"""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from saeflow.files import read_json
from saeflow.models.load import load_directory
from saeflow.models.record import describe_model, model_files, weight_files
from saeflow.work import Work, bulk_of


def shuffle_model(work: Work, model: Path, *, seed: int, embeddings: bool) -> None:
    """Shuffle a model's weights into a work directory and finish it with its own record.

    ``work``, held and unfinished, gets a Hugging Face directory with the tokenizer of the
    ``model``, a record; seed and embeddings are those of `shuffle`.
    """
    record, bulk = read_json(model), bulk_of(model)
    trusted = record.get("trust_remote_code", False)
    found = load_directory(bulk, trust_remote_code=trusted)
    shuffle(found, seed=seed, embeddings=embeddings)
    found.save_pretrained(work.path)
    weights = {file.name for file in weight_files(bulk)}
    for file in model_files(bulk, trust_remote_code=trusted):
        if file.name not in weights and ".index." not in file.name:
            shutil.copyfile(file, work.path / file.name)
    name, tokenizer = work.output.parent.name, record["tokenizer"]
    facts = describe_model(work.path, name=name, tokenizer=tokenizer, trust_remote_code=trusted)
    work.finish(facts)


@torch.no_grad()
def shuffle(model: nn.Module, *, seed: int, embeddings: bool = True) -> None:
    """Permute the entries of each of a model's weights, in place; tied ones are one weight.

    A weight's permutation is a function of the seed and of its name. Those of token embeddings and
    of the LM head are permuted only if ``embeddings``.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    kept = set() if embeddings else {id(end.weight) for end in ends if end is not None}
    for name, weight in model.named_parameters():
        if id(weight) not in kept:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            entries = rng.permutation(weight.cpu().numpy().ravel())
            weight.copy_(torch.from_numpy(entries).view_as(weight))
