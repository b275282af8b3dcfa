"""The names of the places in a model where activations are read and written: ``site.block``.

TransformerLens' names of them (``blocks.3.hook_resid_post``) are understood wherever a hook is
named. Where a site lies in a model of Hugging Face finds `saeflow.models.sites`. Read `Hook`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from saeflow.errors import ConfigError

SITES = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
"""In the order in which a forward pass meets them.

``resid_pre`` / ``resid_post``: the residual stream before / after the block;
``attn_out`` / ``mlp_out``: what the attention (or what mixes tokens in its place: a convolution,
a state space) / the MLP (or experts) adds to it, after norms and factors of their own;
``resid_mid``: the stream between the two, where a block has such a point.

So ``resid_post = resid_pre + attn_out + mlp_out`` and ``resid_mid = resid_pre + attn_out``: a site
for which that does not hold in a model is not offered there.
"""

PARALLEL_SITES = tuple(site for site in SITES if site != "resid_mid")
"""Those of a block whose attention and MLP read the same stream."""

_SITE, _BLOCK = f"({'|'.join(SITES)})", "(0|[1-9][0-9]*)"
PATTERN = rf"{_SITE}\.{_BLOCK}"
"""What a hook's name matches, with groups for site and block."""

_OURS = re.compile(PATTERN)
_TRANSFORMER_LENS = re.compile(rf"blocks\.{_BLOCK}\.hook_{_SITE}")


@dataclass(frozen=True)
class Hook:
    """One place in a model, written ``site.block``, 0-based (``resid_post.3``)."""

    site: str
    block: int

    @classmethod
    def find(cls, text: object) -> Hook | None:
        """Return the hook that our name or TransformerLens' one means; None for another text."""
        if not isinstance(text, str):
            return None
        if match := _OURS.fullmatch(text):
            return cls(match[1], int(match[2]))
        if match := _TRANSFORMER_LENS.fullmatch(text):
            return cls(match[2], int(match[1]))
        return None

    @classmethod
    def parse(cls, text: object) -> Hook:
        """Return the hook of a name, as `find`; a malformed one is a `ConfigError`."""
        found = cls.find(text)
        if found is None:
            raise ConfigError(
                "this is not the name of a hook",
                expected="SITE.BLOCK such as resid_post.3, or TransformerLens'"
                f" blocks.3.hook_resid_post, with SITE one of {', '.join(SITES)}",
                got=repr(text),
            )
        return found

    def __str__(self) -> str:
        """Give the name used in configurations and paths."""
        return f"{self.site}.{self.block}"

    @property
    def transformer_lens(self) -> str:
        """TransformerLens' name."""
        return f"blocks.{self.block}.hook_{self.site}"

    @property
    def order(self) -> tuple[int, int]:
        """What hooks are sorted by: as a forward pass meets them, block by block."""
        return self.block, SITES.index(self.site)

    def __lt__(self, other: Hook) -> bool:
        """Compare by `order`."""
        return self.order < other.order


def joined_places(model: str, joined: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the models and hooks that a crosscoder joins to one of a model.

    ``joined`` names HOOK of the same model, or MODEL/HOOK; it is None for an SAE of one hook.
    """
    parts = (one.rpartition("/") for one in joined or ())
    return [(other or model, hook) for other, _, hook in parts]
