import math

import pytest

from saeflow.config.checks import resolve
from saeflow.config.schema import complete, load_schema
from saeflow.errors import ConfigError

RELU = ("saes", "relu")
TRAIN = ("models", "small", "train")
STUDY = ("studies", "suppression")

# path of keys, value -> what the message says of: place, expected, got
BAD = [
    # misspelt and unknown keys
    (("studys",), {}, "study.yaml > studys: unknown key 'studys'", "Did you mean 'studies'?"),
    ((*TRAIN, "n_layer"), 2, "> small > train > n_layer: unknown key", "Did you mean 'n_layers'?"),
    ((*RELU, "L1"), 0.1, "saes > relu > L1: unknown key 'L1'", "Did you mean 'l1'?"),
    (
        ("saes", "topk", "l1"),
        0.1,
        "saes > topk > l1: unknown key",
        "expected one of architecture, k",
    ),
    (("studies", "supression"), {}, "unknown key 'supression'", "Did you mean 'suppression'?"),
    (("packings", "ctx-64", "tokens"), {"tran": 1}, "ctx-64 > tokens > tran", "'train'?"),
    # wrong types
    (("models",), [], "study.yaml > models: this is of the wrong type", "keys and values; got []"),
    (("models",), None, "study.yaml > models", "got null"),
    ((*TRAIN, "n_layers"), "4", "expected an integer; got '4'", "train > n_layers"),
    ((*TRAIN, "n_layers"), 4.0, "expected an integer; got 4.0", "without a decimal point"),
    ((*TRAIN, "n_layers"), True, "expected an integer; got true", "train > n_layers"),
    ((*RELU, "l1"), "1e-3", "expected a number; got 1e-3", "1.0e-3"),
    ((*RELU, "l1"), None, "expected a number; got null", "saes > relu > l1"),
    ((*RELU, "l1"), math.nan, "not a finite number", "got .nan"),
    ((*RELU, "l1"), math.inf, "not a finite number", "got .inf"),
    ((*STUDY, "hooks"), "resid_post.1", "expected a list", "got resid_post.1"),
    ((*STUDY, "seeds"), [0.5], "seeds > [0]", "expected an integer; got 0.5"),
    ((*STUDY, "train_on"), "texts", "suppression > train_on", "expected keys and values"),
    # out of range
    ((*TRAIN, "n_layers"), 0, "train > n_layers: this is out of range", "at least 1; got 0"),
    ((*RELU, "l1"), -1, "this is out of range", "at least 0; got -1"),
    ((*RELU, "learning_rate"), 0, "this is out of range", "more than 0; got 0"),
    ((*RELU, "learning_rate"), 2, "this is out of range", "at most 1; got 2"),
    (("packings", "ctx-64", "context_length"), 1, "out of range", "at least 2; got 1"),
    (("measures", "bootstrap"), 10, "measures > bootstrap", "at least 100; got 10"),
    (("measures", "probes"), {"classes": 1}, "measures > probes > classes", "at least 2; got 1"),
    ((*STUDY, "seeds"), [-1], "seeds > [0]", "at least 0; got -1"),
    ((*STUDY, "hooks"), [], "this is out of range", "at least 1 item"),
    ((*STUDY, "saes"), ["relu", "relu"], "this is out of range", "each item once"),
    (("studies",), {}, "study.yaml > studies", "at least 1 entry"),
    # choices
    (("activations", "dtype"), "float64", "activations > dtype", "float16, bfloat16, float32"),
    (("packings", "ctx-64", "bos"), 1, "not one of the choices", "true, false, auto; got 1"),
    (("packings", "ctx-64", "mode"), "packed", "expected one of pack, document", "got packed"),
    ((*RELU, "architecture"), "relo", "unknown architecture 'relo'", "Did you mean 'relu'?"),
    # kinds of entries
    (("datasets", "x"), {"file": "x"}, "no known kind", "hub | path | generate | sample"),
    (("datasets", "x"), {"path": "x", "hub": "y"}, "two kinds at once", "hub | path"),
    (("saes", "x"), None, "no known kind", "architecture: relu, topk, "),
    # forms
    ((*STUDY, "hooks"), ["resid_post"], "not of the right form", "resid_post.3; got resid_post"),
    ((*STUDY, "hooks"), ["resid_post.01"], "hooks > [0]", "got resid_post.01"),
    ((*STUDY, "hooks"), ["resid_post.1\n"], "hooks > [0]", "not of the right form"),
    (("models", "hub", "revision"), "main", "models > hub > revision", "40 hexadecimal digits"),
    (("models", "hub", "hub"), "a b", "models > hub > hub", "name on the Hugging Face hub"),
    (("datasets", "texts", "path"), "", "datasets > texts > path", "a text"),
]


@pytest.mark.parametrize(("path", "value", "first", "second"), BAD)
def test_bad_values_are_refused_with_place_expectation_and_remedy(
    refused, path, value, first, second
):
    message = refused(path, value)
    assert first in message
    assert second in message
    assert message.startswith("study.yaml > ")
    assert "\n" not in message
    assert len(message) < 400, "a person reads this, not a schema"


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", ".hidden", "-rf", "a b", "a~b", "a@1", "", "x" * 65, "ä", "x\n", 3, None],
)
def test_names_that_are_not_safe_in_paths_are_refused(refused, name):
    for section, entry in (
        ("saes", {"architecture": "topk", "k": 1}),
        ("datasets", {"path": "x.txt"}),
        ("packings", {"context_length": 8}),
    ):
        message = refused((section, name), entry)
        assert "cannot be part of a path" in message
        assert "letters, digits" in message
        assert "\n" not in message


def test_a_missing_key_is_named_with_its_meaning(config):
    del config["models"]["hub"]["revision"]
    with pytest.raises(ConfigError, match="the key 'revision' is missing .expected the commit"):
        complete(config, file="study.yaml")


def test_an_empty_file_is_refused():
    with pytest.raises(ConfigError, match="study.yaml: this is of the wrong type"):
        complete(None, file="study.yaml")


def test_the_first_problem_stops_and_what_was_given_stays_as_it_was(config, refused):
    refused((*RELU, "l1"), -1)
    assert "expansion" not in config["saes"]["relu"]


def test_defaults_are_filled_in_at_every_level(config):
    result = complete(config, file="")
    assert result["packings"]["ctx-64"]["tokens"] == dict.fromkeys(("train", "validation", "test"))
    assert result["activations"]["dtype"] == "float16"
    assert result["studies"]["suppression"]["seeds"] == [0]
    assert result["datasets"]["texts"]["splits"] == {"train": 0.9, "validation": 0.05, "test": 0.05}


def test_defaults_are_not_shared_between_configurations(config):
    complete(config, file="")["activations"]["dtype"] = "float32"
    assert complete(config, file="")["activations"]["dtype"] == "float16"


def test_one_and_one_point_zero_are_the_same_setting(config):
    """Else a cosmetic edit would retrain an SAE."""
    config["saes"]["relu"].update(l1=1, expansion=2)
    whole = complete(config, file="")
    config["saes"]["relu"].update(l1=1.0, expansion=2.0)
    assert repr(complete(config, file="")) == repr(whole)
    assert isinstance(whole["saes"]["relu"]["l1"], float)
    assert isinstance(whole["saes"]["topk"]["k"], int)


def test_the_order_of_keys_means_nothing(config):
    backwards = {key: config[key] for key in reversed(config)}
    assert resolve(backwards) == resolve(config)


def test_every_key_of_the_schema_has_a_description():
    def check(schema, name):
        for key, value in schema.get("properties", {}).items():
            target = value.get("$ref", "").removeprefix("#/$defs/")
            described = {**load_schema()["$defs"].get(target, {}), **value}
            assert described.get("description"), f"{name} > {key}"
            check(described, f"{name} > {key}")

    check(load_schema(), "")
    for name, definition in load_schema()["$defs"].items():
        check(definition, name)
