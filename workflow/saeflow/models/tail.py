"""The model from a hook on, fed with stored or reconstructed activations.

Replacing the residual stream at block L needs only the blocks after L. A `Tail` runs these, with
the model's own weights, and is bit-exact: fed with what the model itself computes at the hook, it
gives the model's own states and logits.
"""

from __future__ import annotations

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, block_modules, capture, check_hooks, replace
from saeflow.models.slices import (
    Feed,
    Head,
    Skip,
    base_with_blocks,
    final_states,
    forward_arguments,
)


class Tail:
    """What a model computes after a hook.

    Parameters
    ----------
    model
        A causal language model in eval mode. It is shared, not copied; hooks that somebody
        else has on its blocks also act here.
    hook
        Where to begin. A model for which the slice is not exact is refused with a `ModelError`.

    Attributes
    ----------
    needs_resid_pre : bool
        Whether `states` and `logits` want the block's input too: ``attn_out`` and ``mlp_out``
        are added to the stream, so the stream itself must come from somewhere.
    """

    def __init__(self, model: nn.Module, hook: Hook) -> None:
        check_hooks(model, [hook])
        self.hook = hook
        self.needs_resid_pre = hook.site in ("attn_out", "mlp_out")
        self.head = Head(model)
        self._model = model
        probe, x, resid_pre, expected, as_tuple = _probe(model, hook)
        blocks = block_modules(model)
        enters = hook.site != "resid_post"
        self._feed = Feed(blocks[hook.block] if enters else None, as_tuple)
        skipped = [Skip(as_tuple) for _ in blocks[: hook.block]]
        self._part = base_with_blocks(model, [*skipped, self._feed, *blocks[hook.block + 1 :]])
        if not torch.equal(self.states(x, resid_pre=resid_pre), expected):
            raise ModelError(
                "this model cannot be run from a block on: the result differs from the whole's",
                where=f"{type(model).__name__} > {hook}",
                got=f"another result on {probe.numel()} tokens",
                remedy="Measure this hook with a forward pass of the whole model instead.",
            )

    def states(
        self,
        x: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        resid_pre: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the final states when the hook has the value ``x``.

        Parameters
        ----------
        x : Tensor (batch, seq, d_model)
            The value at the hook.
        attention_mask : Tensor (batch, seq), optional
            As for the whole model; right-padded batches need none.
        resid_pre : Tensor (batch, seq, d_model)
            The input of the hook's block; only where `needs_resid_pre`.

        Returns
        -------
        Tensor (batch, seq, d_model)
            After the final norm: what the LM head reads.
        """
        if self.needs_resid_pre and resid_pre is None:
            raise ModelError(
                "the tail at an output of a part of a block needs the block's input",
                where=str(self.hook),
                expected=f"resid_pre: the activations at resid_pre.{self.hook.block}",
            )
        stream = resid_pre if self.needs_resid_pre else x
        if self.hook.site in ("resid_pre", "resid_post"):
            return self._run(stream, attention_mask)
        with replace(self._model, self.hook, lambda _: x):
            return self._run(stream, attention_mask)

    def logits(
        self,
        x: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        resid_pre: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the logits (batch, seq, vocab_size); arguments as for `states`."""
        return self.head(self.states(x, attention_mask, resid_pre=resid_pre))

    def _run(self, stream: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        self._feed.value = stream
        try:
            # inputs_embeds only tells shape, type and device here: `Feed` drops its content.
            output = self._part(inputs_embeds=stream, **forward_arguments(attention_mask))
        finally:
            self._feed.value = None
        return output.last_hidden_state


@torch.no_grad()
def _probe(
    model: nn.Module, hook: Hook
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, bool]:
    """Run the whole model on a few tokens, to hold the tail against.

    Returns
    -------
    ids (2, 4), x (2, 4, d), resid_pre (2, 4, d), final states (2, 4, d), blocks return a tuple
    """
    device = next(model.parameters()).device
    ids = torch.arange(8, device=device).reshape(2, 4) % model.config.vocab_size
    below = Hook("resid_pre", hook.block)
    kinds: list[bool] = []

    def note_kind(_: nn.Module, __: object, output: object) -> None:
        kinds.append(isinstance(output, tuple))

    handle = block_modules(model)[0].register_forward_hook(note_kind)
    try:
        with capture(model, [hook, below]) as found:
            expected = final_states(model, ids)
    finally:
        handle.remove()
    return ids, found[hook], found[below], expected, kinds[0]
