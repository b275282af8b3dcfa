"""Names of hooks, ours and TransformerLens'."""

from __future__ import annotations

import re

import pytest

from saeflow.errors import ConfigError
from saeflow.hooks import PATTERN, SITES, Hook


def test_a_hook_reads_back_from_its_own_name():
    assert Hook.parse("resid_post.3") == Hook("resid_post", 3)
    assert str(Hook.parse("mlp_out.12")) == "mlp_out.12"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("blocks.3.hook_resid_post", "resid_post.3"), ("blocks.0.hook_resid_pre", "resid_pre.0"),
     ("blocks.2.hook_mlp_out", "mlp_out.2"), ("blocks.1.hook_attn_out", "attn_out.1"),
     ("blocks.1.hook_resid_mid", "resid_mid.1")],
)  # fmt: skip
def test_transformer_lens_names_are_understood_and_given(theirs, ours):
    assert str(Hook.parse(theirs)) == ours
    assert Hook.parse(ours).transformer_lens == theirs


@pytest.mark.parametrize(
    "text",
    ["resid_post", "resid_post.-1", "resid_post.x", "resid_post.01", "resid_post.1\n", "post.1",
     "1", "", None, 3, "blocks.3.attn.hook_z", "blocks.1.mlp.hook_post", "hook_embed",
     "blocks.x.hook_mlp_out", "blocks.01.hook_mlp_out"],
)  # fmt: skip
def test_what_is_no_hook_is_refused_with_both_right_forms(text):
    assert Hook.find(text) is None
    with pytest.raises(ConfigError, match=r"SITE\.BLOCK.*blocks\.3\.hook_resid_post"):
        Hook.parse(text)


def test_hooks_are_sorted_as_a_forward_pass_meets_them():
    names = ["resid_post.0", "mlp_out.10", "mlp_out.9", "resid_pre.2", "attn_out.0"]
    assert [str(hook) for hook in sorted(map(Hook.parse, names))] == [
        "attn_out.0", "resid_post.0", "resid_pre.2", "mlp_out.9", "mlp_out.10",
    ]  # fmt: skip


def test_every_site_is_in_the_pattern():
    assert all(re.fullmatch(PATTERN, f"{site}.0") for site in SITES)
