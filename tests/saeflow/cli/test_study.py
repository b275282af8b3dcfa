from pathlib import Path

import pytest

from saeflow.cli.study import BULK, bulk_parts, find_result, open_study
from saeflow.errors import ConfigError
from saeflow.plan.find import find_defined


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("sae.0123456789abcdef", ("sae", "0123456789abcdef", None, None)),
        ("tokens.0123456789abcdef.zarr", ("tokens", "0123456789abcdef", ".zarr", None)),
        (
            "resid_post.1.0123456789abcdef.zarr.partial",
            ("resid_post.1", "0123456789abcdef", ".zarr", ".partial"),
        ),
    ],
)
def test_names_of_bulk_are_taken_apart(name, parts):
    assert BULK.fullmatch(name).groups() == parts


@pytest.mark.parametrize("name", ["sae", "resid_post.1", "sae.0123", "sae.0123456789abcdef.json"])
def test_other_names_are_no_bulk(name):
    assert BULK.fullmatch(name) is None


def test_a_file_deep_in_bulk_leads_to_its_record():
    record, _ = bulk_parts(Path("results/x/resid_post.1.0123456789abcdef.zarr/values/c/0"))
    assert record == Path("results/x/resid_post.1.json")
    assert bulk_parts(Path("results/x/sae.json")) is None


def test_every_wanted_record_leads_to_its_result(tree):
    study = open_study(Path("config.yaml"))
    for record, result in study.wanted.items():
        assert find_result(study, record) is result
        for file in result.files:
            assert find_result(study, file) is result


def test_every_wanted_record_with_data_is_also_found_by_its_pattern(tree):
    """`why` explains what no study wants any more in the same way."""
    study = open_study(Path("config.yaml"))
    for record, result in study.wanted.items():
        if result.suffix is not None:
            assert find_defined(study.plan, record).identity == result.identity


def test_the_first_problem_of_a_configuration_is_told(tree):
    Path("config.yaml").write_text("models: {}\nmodels: {}\n")
    with pytest.raises(ConfigError, match="line 2: the key 'models' stands twice"):
        open_study(Path("config.yaml"))
