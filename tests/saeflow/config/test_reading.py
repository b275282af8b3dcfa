import pytest

from saeflow.config.reading import read_config
from saeflow.errors import ConfigError


def refused(path):
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_read_with_its_anchors_and_merges(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\nc: *x\n")
    assert read_config(path) == {
        "a": {"k": 1, "l": 2},
        "b": {"k": 1, "l": 3},
        "c": {"k": 1, "l": 2},
    }


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path):
    """YAML takes the last one without a word."""
    path = tmp_path / "c.yaml"
    path.write_text("saes:\n  relu:\n    l1: 1\n    k: 2\n    l1: 3\n")
    assert f"{path}, line 5: the key 'l1' stands twice" in refused(path)


def test_a_number_that_stands_twice_is_refused_too(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("packings:\n  64: 1\n  64: 2\n")
    assert "line 3: the key '64' stands twice" in refused(path)


def test_what_is_not_yaml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    assert f"{path}, line 3: this is not YAML" in refused(path)


def test_a_missing_file_is_refused_with_a_remedy(tmp_path):
    assert "--configfile" in refused(tmp_path / "none.yaml")


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes("a: ü".encode("latin-1"))
    assert "UTF-8" in refused(path)


def test_no_python_object_is_made(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: !!python/object/apply:os.system [true]\n")
    assert "not YAML" in refused(path)
