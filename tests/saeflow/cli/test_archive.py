import torch

from saeflow.activations.reader import open_store
from saeflow.files import hash_tree
from tiny_stores import make_store

LENGTHS = {"train": [40] * 15, "validation": [], "test": [25] * 4}


def test_a_store_goes_to_an_archive_and_back(tmp_path, done):
    record = make_store(tmp_path, torch.randn(700, 16), LENGTHS, dtype="bfloat16")
    printed = done("archive", record, tmp_path / "a.zarr", "--codec", "blosc")
    assert "where the store has" in printed
    printed = done("archive", "--restore", tmp_path / "a.zarr", tmp_path / "back")
    assert "byte for byte" in printed
    again = open_store(tmp_path / "back" / record.name)
    assert hash_tree(again.path) == hash_tree(open_store(record).path)


def test_the_error_of_int8_is_told(tmp_path, done, refused):
    record = make_store(tmp_path, torch.randn(700, 16), LENGTHS)
    printed = done("archive", record, tmp_path / "a.zarr", "--codec", "int8")
    assert "of their variance" in printed
    printed = refused("archive", "--restore", tmp_path / "a.zarr", tmp_path / "back")
    assert "lost nothing" in printed
