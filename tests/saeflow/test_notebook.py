import subprocess
import sys

import pytest

import saeflow
from saeflow.errors import DataError


def test_importing_saeflow_imports_nothing_else():
    code = "import saeflow, sys; print([m for m in sys.modules if m.startswith('saeflow.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def write(results, configuration, text):
    """Write the table `frontier` of a configuration."""
    directory = results / "studies" / configuration / "tables" / "suppression"
    directory.mkdir(parents=True)
    (directory / "frontier.csv").write_text(text)


def test_a_table_is_read_by_name(tmp_path):
    write(tmp_path, "mine", "sae,l0\ntopk,8\n")
    table = saeflow.read_table("suppression", "frontier", results=tmp_path)
    assert table.to_dict("records") == [{"sae": "topk", "l0": 8}]


def test_a_missing_table_names_those_there_are(tmp_path):
    write(tmp_path, "mine", "sae\n")
    with pytest.raises(DataError, match="expected frontier"):
        saeflow.read_table("suppression", "frontire", results=tmp_path)


def test_of_several_configurations_one_is_named(tmp_path):
    write(tmp_path, "mine", "sae,l0\ntopk,8\n")
    write(tmp_path, "wide", "sae,l0\ntopk,9\n")
    with pytest.raises(DataError, match="got mine, wide"):
        saeflow.read_table("suppression", "frontier", results=tmp_path)
    table = saeflow.read_table("suppression", "frontier", configuration="wide", results=tmp_path)
    assert table.l0.tolist() == [9]


def test_an_unknown_attribute_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'load_sea'"):
        saeflow.load_sea  # noqa: B018
