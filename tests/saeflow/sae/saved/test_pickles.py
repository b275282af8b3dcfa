"""A pickle runs nothing here, whatever it asks for."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

from foreign_files import of_module, random, save_objects
from saeflow.errors import DamagedError, ModelError
from saeflow.sae.saved import pickles


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("function", [os.system, os.mkdir, eval, exec, __import__, getattr])
def test_a_hostile_pickle_does_nothing(function, tmp_path):
    mark = tmp_path / "mark"
    argument = f"__import__('os').mkdir({str(mark)!r})" if function in (eval, exec) else str(mark)
    if function is os.system:
        argument = f"mkdir {mark}"
    path = tmp_path / "sae.pt"
    torch.save({"W_enc": random(2, 3, seed=0), "x": Hostile(function, argument)}, path)
    with pytest.raises(ModelError, match="nothing of it was run") as error:
        pickles.load(path)
    assert not mark.exists()
    assert function.__name__ in str(error.value) and str(path) in str(error.value)


def test_a_hostile_class_inside_a_known_object_does_nothing(tmp_path):
    mark = tmp_path / "mark"
    one = of_module("autoencoders.learned_dict", "TiedSAE", {"x": Hostile(os.mkdir, str(mark))})
    path = save_objects(tmp_path / "sae.pt", [one], [one])
    with pytest.raises(ModelError, match="mkdir"):
        pickles.load(path)
    assert not mark.exists()


def test_a_plain_pickle_that_torch_did_not_write_does_nothing(tmp_path):
    mark = tmp_path / "mark"
    path = tmp_path / "sae.pt"
    path.write_bytes(pickle.dumps(Hostile(os.mkdir, str(mark))))
    with pytest.raises((ModelError, DamagedError)):
        pickles.load(path)
    assert not mark.exists()


@pytest.mark.parametrize("old_format", [True, False])
def test_tensors_come_back(old_format, tmp_path):
    path = tmp_path / "sae.pt"
    content = {
        "a": random(3, 4, seed=0).T,
        "b": torch.nn.Parameter(random(2, seed=1)),
        "c": torch.arange(3),
        "k": 5,
    }
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    found = pickles.load(path)
    assert found["k"] == 5
    assert all(torch.equal(found[name], content[name]) for name in "abc")


@pytest.mark.parametrize("old_format", [True, False])
def test_an_object_of_a_known_library_becomes_a_holder(old_format, tmp_path):
    one = of_module("autoencoders.learned_dict", "TiedSAE", {"encoder": random(3, 2, seed=0)})
    path = save_objects(tmp_path / "sae.pt", [(one, {"l1_alpha": 1e-3})], [one])
    ((held, about),) = pickles.load(path)
    assert held.kind == "autoencoders.learned_dict.TiedSAE" and about == {"l1_alpha": 1e-3}
    assert torch.equal(held.attributes()["encoder"], one.encoder)


def test_a_torch_module_gives_its_parameters(tmp_path):
    path = tmp_path / "sae.pt"
    linear = torch.nn.Linear(3, 2)
    torch.save(linear, path)
    own = pickles.load(path).attributes()
    assert torch.equal(own["weight"], linear.weight) and torch.equal(own["bias"], linear.bias)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_torn_file_is_damage(share, tmp_path):
    path = tmp_path / "sae.pt"
    torch.save({"a": random(50, 40, seed=0)}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DamagedError, match="not readable"):
        pickles.load(path)
