import pytest
import torch

from saeflow.errors import ModelError
from saeflow.files import read_json
from saeflow.models.checkpoints import select_checkpoint
from saeflow.models.load import load_model
from saeflow.work import hold
from tiny_models import make_model


@pytest.fixture
def trained(tmp_path):
    """The record of a trained model that kept two checkpoints."""
    record = tmp_path / "small" / "model.json"
    with hold(record, "a" * 64) as work:
        for step, seed in ((0, 1), (8, 2)):
            make_model("gpt_neox", seed).save_pretrained(work.path / f"step-{step}")
        make_model("gpt_neox", 3).save_pretrained(work.path)
        work.finish({"tokenizer": "hash", "checkpoints": [0, 8]})
        work.publish()
    return record


@pytest.mark.parametrize(("step", "seed"), [(0, 1), (8, 2)])
def test_a_checkpoint_is_a_model_with_the_weights_of_its_step(trained, tmp_path, step, seed):
    output = tmp_path / f"small@{step}" / "model.json"
    with hold(output, "b" * 64) as work:
        select_checkpoint(work, trained, step)
        work.publish()
    facts = read_json(output)
    assert (facts["name"], facts["step"], facts["tokenizer"]) == (f"small@{step}", step, "hash")
    weights = load_model(output).state_dict()
    for name, expected in make_model("gpt_neox", seed).state_dict().items():
        assert torch.equal(weights[name], expected)


def test_a_step_that_was_not_kept_names_those_that_were(trained, tmp_path):
    with (
        hold(tmp_path / "small@4" / "model.json", "c" * 64) as work,
        pytest.raises(ModelError, match="step 4.*expected one of 0, 8"),
    ):
        select_checkpoint(work, trained, 4)
