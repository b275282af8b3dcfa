"""Checkpoints: whole or not there, the one before kept until the new one is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saeflow.errors import DamagedError
from saeflow.sae.training import checkpoint

TENSORS = {
    "weights/W_enc": torch.randn(4, 3).T,
    "weights/b": torch.randn(4),
    "silent": torch.arange(4),
}


def save(directory, n):
    checkpoint.save(directory, {name: t + n for name, t in TENSORS.items()}, {"n_done": n})


def test_a_checkpoint_comes_back_with_its_layouts(tmp_path):
    save(tmp_path, 1)
    tensors, state = checkpoint.load(tmp_path)
    assert state == {"n_done": 1} and list(state) == ["n_done"]
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor + 1)
        assert tensors[name].stride() == tensor.stride()
        assert tensors[name].data_ptr() % 64 == 0


def test_the_one_before_is_kept_and_no_more(tmp_path):
    for n in range(4):
        save(tmp_path, n)
    assert [state["n_done"] for _, state in checkpoint.usable(tmp_path)] == [3, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint.PREVIOUS, checkpoint.NAME]


@pytest.mark.parametrize("n_calls", [1, 2, 3])
def test_whenever_a_save_is_cut_off_one_checkpoint_is_whole(n_calls, tmp_path, monkeypatch):
    save(tmp_path, 0)
    save(tmp_path, 1)
    calls, replace = [], Path.replace

    def cut(self, target):
        calls.append(target)
        if len(calls) == n_calls:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 2)
    monkeypatch.undo()
    tensors, state = checkpoint.load(tmp_path)
    assert state["n_done"] == 1
    assert torch.equal(tensors["weights/b"], TENSORS["weights/b"] + 1)
    save(tmp_path, 2)
    assert checkpoint.load(tmp_path)[1]["n_done"] == 2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_torn_file_is_seen(share, tmp_path, caplog):
    save(tmp_path, 0)
    save(tmp_path, 1)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert checkpoint.load(tmp_path)[1]["n_done"] == 0
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("place", [-1, -20, -60])
def test_a_flipped_bit_in_a_tensor_is_seen(place, tmp_path):
    save(tmp_path, 0)
    path = tmp_path / checkpoint.NAME
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    assert checkpoint.load(tmp_path) is None


def test_without_a_whole_checkpoint_there_is_no_sae(tmp_path):
    assert not checkpoint.exists(tmp_path) and checkpoint.load(tmp_path) is None
    (tmp_path / checkpoint.NAME).write_bytes(b"{")
    assert checkpoint.exists(tmp_path)
    with pytest.raises(DamagedError, match="no checkpoint here is whole"):
        checkpoint.read_sae(tmp_path)
