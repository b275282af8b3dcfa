import math
from typing import get_args

import pytest
from pydantic import ConfigDict, TypeAdapter

from saeflow.config.base import Section
from saeflow.config.checks import resolve
from saeflow.config.schema import descriptions, is_section, kinds_of, type_of
from saeflow.config.sections import Config, section_of
from saeflow.errors import ConfigError

STRICT = ConfigDict(strict=True, allow_inf_nan=False)

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
    (
        ("studies", "supression"),
        {},
        "there is no study 'supression'",
        "Did you mean 'suppression'?",
    ),
    (("packings", "ctx-64", "tokens"), {"tran": 1}, "ctx-64 > tokens > tran", "'train'?"),
    # wrong types
    (("models",), [], "study.yaml > models: this is of the wrong type", "keys and values; got []"),
    (("models",), None, "study.yaml > models", "got null"),
    ((*TRAIN, "n_layers"), "4", "expected an integer; got '4'", "train > n_layers"),
    ((*TRAIN, "n_layers"), 4.0, "expected an integer; got 4.0", "without a decimal point"),
    ((*TRAIN, "n_layers"), True, "expected an integer; got true", "train > n_layers"),
    ((*RELU, "l1"), "1e-3", "expected a number or null; got 1e-3", "1.0e-3"),
    ((*RELU, "l1"), None, "saes > relu: the penalty is given by l1 or", "got {architecture: relu"),
    ((*RELU, "learning_rate"), None, "expected a number; got null", "saes > relu > learning_rate"),
    ((*RELU, "clip_norm"), "1", "expected a number or null; got '1'", "saes > relu > clip_norm"),
    ((*STUDY, "saes"), ["topk", False], "saes > [1]: this is of the wrong type", "in quotes"),
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
    ((*STUDY, "saes"), ["relu", "relu"], "in this list twice", "each item once; got [relu, relu]"),
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
    (("saes", "x"), {"architecture": ["relu"]}, "unknown architecture", "relu"),
    (("methods", "x"), {"solver": "exat", "method": "scale"}, "unknown solver", "'exact'?"),
    (("tokenizers", "words"), {"train": "texts", "model": "hub"}, "two kinds", "train | model"),
    # forms
    ((*STUDY, "hooks"), ["resid_post"], "not the name of a hook", "such as resid_post.3, or Tran"),
    ((*STUDY, "hooks"), ["resid_post.01"], "hooks > [0]", "got resid_post.01"),
    ((*STUDY, "hooks"), ["resid_post.1\n"], "hooks > [0]", "blocks.3.hook_resid_post"),
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
    ["../x", "a/b", ".hidden", "-rf", "a b", "a~b", "a@1", "", "x" * 65, "ä", "x\n"],
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


@pytest.mark.parametrize(
    ("name", "kind"),
    [(64, "a number"), (1.5, "a number"), (False, "true or false"), (None, "null")],
)
@pytest.mark.parametrize(
    ("path", "entry"),
    [
        (("saes",), {"architecture": "topk", "k": [1, 2]}),
        (("packings",), {"context_length": 8}),
        (("studies",), {}),
        (("saes", "topk"), 1),
        ((), 1),
    ],
)
def test_names_that_are_no_texts_to_yaml_want_quotes(refused, name, kind, path, entry):
    message = refused((*path, name), entry)
    place = " > ".join(["study.yaml", *path, {None: "null", False: "false"}.get(name, str(name))])
    assert message.startswith(f"{place}: YAML reads this name as {kind}")
    assert message.endswith("Put it in quotes.")


def test_a_misspelt_key_goes_before_the_one_that_is_missing_for_it(refused):
    message = refused(("saes", "new"), {"architecture": "topk", "kk": 8})
    assert message.startswith("study.yaml > saes > new > kk: unknown key 'kk'")
    assert message.endswith("Did you mean 'k'?")


def test_a_missing_key_is_named_with_its_meaning(config):
    del config["models"]["hub"]["revision"]
    with pytest.raises(ConfigError, match="the key 'revision' is missing .expected the commit"):
        resolve(config, file="study.yaml")


def test_an_empty_file_is_refused():
    with pytest.raises(ConfigError, match="study.yaml: this is of the wrong type"):
        resolve(None, file="study.yaml")


def test_the_first_problem_stops_and_what_was_given_stays_as_it_was(config, refused):
    refused((*RELU, "l1"), -1)
    assert "expansion" not in config["saes"]["relu"]


def test_defaults_are_filled_in_at_every_level(config):
    result = resolve(config, file="")
    assert result["packings"]["ctx-64"]["tokens"] == dict.fromkeys(("train", "validation", "test"))
    assert result["activations"]["dtype"] == "float16"
    assert result["studies"]["suppression"]["seeds"] == [0]
    assert result["datasets"]["texts"]["splits"] == {"train": 0.9, "validation": 0.05, "test": 0.05}


def test_defaults_are_not_shared_between_configurations(config):
    resolve(config, file="")["activations"]["dtype"] = "float32"
    assert resolve(config, file="")["activations"]["dtype"] == "float16"


def test_one_and_one_point_zero_are_the_same_setting(config):
    """Else a cosmetic edit would retrain an SAE."""
    config["saes"]["relu"].update(l1=1, expansion=2)
    whole = resolve(config, file="")
    config["saes"]["relu"].update(l1=1.0, expansion=2.0)
    assert repr(resolve(config, file="")) == repr(whole)
    assert isinstance(whole["saes"]["relu"]["l1"], float)
    assert isinstance(whole["saes"]["topk"]["k"], int)


def test_the_order_of_keys_means_nothing(config):
    backwards = {key: config[key] for key in reversed(config)}
    assert resolve(backwards) == resolve(config)


def sections(annotation, found):
    """Collect the sections below a type."""
    for kind in kinds_of(annotation).values() or get_args(annotation):
        sections(kind, found)
    if is_section(annotation) and annotation not in found:
        found.append(annotation)
        for field in annotation.model_fields.values():
            sections(type_of(field), found)
    return found


def test_every_key_of_every_section_has_a_description_and_a_default_of_its_type():
    found = [*sections(Config, []), *sections(section_of("suppression", where=""), [])]
    assert len(found) > 40
    for section in found:
        assert section.model_fields.keys() == descriptions(section).keys()
        for key, field in section.model_fields.items():
            if not field.is_required() and field.default_factory is None:
                annotation = type_of(field)
                config = None if isinstance(field.default, Section) else STRICT
                read = TypeAdapter(annotation, config=config).validate_python(field.default)
                assert repr(read) == repr(field.default), key
