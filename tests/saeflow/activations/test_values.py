import numpy as np
import torch

from saeflow.activations.values import bits, from_bits, to_storage


def test_all_bfloat16_patterns_survive_storing():
    patterns = torch.arange(65_536).to(torch.uint16).view(torch.int16).reshape(256, 256)
    stored = to_storage(patterns.view(torch.bfloat16), "bfloat16")
    assert stored.dtype == np.uint16
    assert torch.equal(bits(stored), patterns)


def test_bfloat16_is_read_without_a_detour_through_float16():
    x = torch.tensor([[3.0e38, 1.0e-38, -70_000.0, 0.1]])
    found = from_bits(bits(to_storage(x, "bfloat16")), "bfloat16")
    assert torch.equal(found, x.to(torch.bfloat16).float())


def test_float16_is_rounded_to_nearest():
    x = torch.tensor([[1.0 + 2.0**-11 + 2.0**-20, 65_504.0]])
    assert from_bits(bits(to_storage(x, "float16")), "float16").tolist() == [[1 + 2.0**-10, 65_504]]
