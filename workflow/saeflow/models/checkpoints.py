"""Make a model of a checkpoint that the training of another one kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from saeflow.errors import ModelError
from saeflow.files import read_json
from saeflow.models.record import describe_model
from saeflow.tokenizers import TOKENIZER_FILES
from saeflow.work import Work, bulk_of


def select_checkpoint(work: Work, model: Path, step: int) -> None:
    """Copy a checkpoint out of a trained model's bulk and finish it with its own record.

    ``work``, held and unfinished, gets a Hugging Face directory with the tokenizer of the
    ``model``, a record. A step at which no checkpoint was kept is a `ModelError`.
    """
    record, bulk = read_json(model), bulk_of(model)
    source = bulk / f"step-{step}"
    if not source.is_dir():
        kept = ", ".join(str(s) for s in record.get("checkpoints", []))
        raise ModelError(
            f"no checkpoint was kept at step {step}", where=model, expected=f"one of {kept}"
        )
    shutil.copytree(source, work.path, dirs_exist_ok=True)
    for name in TOKENIZER_FILES:
        if name != "config.json" and (bulk / name).is_file():
            shutil.copyfile(bulk / name, work.path / name)
    facts = describe_model(work.path, name=work.output.parent.name, tokenizer=record["tokenizer"])
    work.finish(facts | {"step": step})
