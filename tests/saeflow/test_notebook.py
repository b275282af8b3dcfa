import subprocess
import sys

import pytest

import saeflow
from saeflow.errors import DataError


def test_importing_saeflow_imports_nothing_else():
    code = "import saeflow, sys; print([m for m in sys.modules if m.startswith('saeflow.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_table_is_read_by_name(tmp_path):
    directory = tmp_path / "tables" / "suppression"
    directory.mkdir(parents=True)
    (directory / "frontier.csv").write_text("sae,l0\ntopk,8\n")
    table = saeflow.read_table("suppression", "frontier", results=tmp_path)
    assert table.to_dict("records") == [{"sae": "topk", "l0": 8}]


def test_a_missing_table_names_those_there_are(tmp_path):
    directory = tmp_path / "tables" / "suppression"
    directory.mkdir(parents=True)
    (directory / "frontier.csv").write_text("sae\n")
    with pytest.raises(DataError, match="expected frontier"):
        saeflow.read_table("suppression", "frontire", results=tmp_path)


def test_an_unknown_attribute_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'load_sea'"):
        saeflow.load_sea  # noqa: B018
