import pytest

from saeflow.config.checks import resolve

STUDY = ("studies", "suppression")
TRAIN = ("models", "small", "train")

BAD = [
    ((*STUDY, "saes"), ["rely"], "suppression > saes: there is no 'rely' under saes", "'relu'?"),
    ((*STUDY, "saes"), ["relu@1"], "there is no 'relu@1' under saes", "relu, topk"),
    ((*STUDY, "methods"), ["decoder"], "there is no 'decoder' under methods", "scale"),
    ((*STUDY, "models"), ["big"], "there is no 'big' under models", "small, hub"),
    ((*STUDY, "train_on"), {"dataset": "x", "packing": "ctx-64"}, "train_on > dataset", "texts"),
    ((*STUDY, "evaluate_on"), {"dataset": "texts", "packing": "x"}, "on > packing", "ctx-64"),
    ((*TRAIN, "tokenizer"), "word", "train > tokenizer", "Did you mean 'words'?"),
    ((*TRAIN, "dataset"), "x", "small > train > dataset", "under datasets"),
    ((*TRAIN, "packing"), "x", "small > train > packing", "under packings"),
    (("models", "hub", "tokenizer"), "x", "models > hub > tokenizer", "words"),
    (("tokenizers", "words"), {"train": "x"}, "tokenizers > words > train", "texts"),
    (("tokenizers", "words"), {"model": "x"}, "tokenizers > words > model", "small, hub"),
    (("tokenizers", "words"), {"model": "small"}, "words > model", "does not bring a tokenizer"),
    (("datasets", "x"), {"sample": {"model": "x", "n_documents": 1}}, "sample > model", "hub"),
    (("datasets", "texts", "splits"), {"train": 0.5}, "do not sum to one", "expected 1; got 0.5"),
    ((*STUDY, "hooks"), ["resid_post.9"], "has no hook 'resid_post.9'", "BLOCK from 0 to 3"),
    ((*STUDY, "hooks"), ["resid_mid.0"], "has no hook 'resid_mid.0'", "resid_pre, attn_out"),
    ((*STUDY, "models"), ["small@3"], "no such checkpoint", "0, 1, 2, 4, 8"),
    ((*STUDY, "models"), ["small@x"], "no such checkpoint", "got small@x"),
    ((*STUDY, "models"), ["hub@1"], "the model 'hub' has no checkpoints", "a model of its own"),
    ((*TRAIN, "checkpoints"), "often", "train > checkpoints", "'log-spaced'"),
    ((*TRAIN, "checkpoints"), [10**9], "small > train > checkpoints", "outside the training"),
    ((*TRAIN, "tokens"), 5, "small > train > tokens", "batch_tokens"),
    ((*TRAIN, "d_model"), 130, "small > train > d_model", "a multiple of 8; got 130"),
    ((*TRAIN, "d_model"), 4, "small > train > d_model", "even number"),
    (("activations", "shard_rows"), 300, "shard_rows: the rows of a shard", "256 or 512; got 300"),
    ((*STUDY, "theory"), {"d": 13}, "theory > d: the toys' features", "at least 14"),
    ((*STUDY, "theory"), {"g": [1.6], "d": 32}, "theory > g: the largest", "c d / 2 = 1.6; got"),
    (("activations",), {"live": True, "temporary": True}, "activations: live", "live or temporary"),
]


@pytest.mark.parametrize(("path", "value", "first", "second"), BAD)
def test_what_does_not_fit_together_is_refused(refused, path, value, first, second):
    message = refused(path, value)
    assert first in message
    assert second in message
    assert message.startswith("study.yaml > ")
    assert "\n" not in message


def test_a_sound_configuration_is_accepted(config):
    config["studies"]["suppression"].update(models=["small", "small@4"], hooks=["attn_out.3"])
    resolve(config)


def test_hooks_of_models_from_elsewhere_are_left_to_the_job_that_sees_the_model(config):
    config["studies"]["suppression"].update(models=["hub"], hooks=["resid_mid.40"])
    resolve(config)
