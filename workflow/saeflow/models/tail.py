"""The model from a hook on, fed with stored or reconstructed activations.

Replacing the residual stream at block L needs only the blocks after L. A `Tail` runs these, with
the model's own weights, and is bit-exact: fed with what the model itself computes at the hook, it
gives the model's own states and logits.
"""

from __future__ import annotations

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, block_modules, capture, check_hooks, layout_of, replace
from saeflow.models.layout import probe_ids
from saeflow.models.slices import Head, StandIn, final_states, run_trunk, trunk_with_blocks


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
        Whether `states` wants the block's input too: ``attn_out`` and ``mlp_out`` are added to the
        stream, so the stream itself must come from somewhere.
    head : Head
        Final states -> logits.
    """

    def __init__(self, model: nn.Module, hook: Hook) -> None:
        check_hooks(model, [hook])
        self.hook = hook
        self.needs_resid_pre = hook.site in ("attn_out", "mlp_out")
        self.head = Head(model)
        self._model = model
        blocks, outputs = block_modules(model), layout_of(model).block_outputs
        n_skipped = hook.block + (hook.site == "resid_post")
        skipped = [
            block if output is None else StandIn(block, output)
            for block, output in zip(blocks[:n_skipped], outputs, strict=False)
        ]
        passed = [one for one in skipped if isinstance(one, StandIn)]
        self._entry = passed[-1] if passed else None
        self._part = trunk_with_blocks(model, [*skipped, *blocks[n_skipped:]])
        self._check()

    def states(
        self,
        x: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        resid_pre: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the `final_states` when the hook has the value ``x`` (batch, seq, d_model).

        The tokens are those of the whole model, since some families give every block a part of
        their embeddings, and so is the mask. ``resid_pre`` (batch, seq, d_model), the input of the
        hook's block, is only for where `needs_resid_pre`.
        """
        if self.needs_resid_pre and resid_pre is None:
            raise ModelError(
                "the tail at an output of a part of a block needs the block's input",
                where=str(self.hook),
                expected=f"resid_pre: the activations at resid_pre.{self.hook.block}",
            )
        stream = resid_pre if self.needs_resid_pre else x
        if self.hook.site in ("resid_pre", "resid_post"):
            return self._run(stream, input_ids, attention_mask)
        with replace(self._model, self.hook, lambda _: x):
            return self._run(stream, input_ids, attention_mask)

    def _run(
        self, stream: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Run the blocks from the hook on; what the model computes before is dropped."""
        if self._entry is None:
            with replace(self._model, Hook("resid_pre", self.hook.block), lambda _: stream):
                return run_trunk(self._part, input_ids, attention_mask)
        self._entry.value = stream
        try:
            return run_trunk(self._part, input_ids, attention_mask)
        finally:
            self._entry.value = None

    @torch.no_grad()
    def _check(self) -> None:
        """Hold the tail against the whole model on a few tokens."""
        ids, below = probe_ids(self._model), Hook("resid_pre", self.hook.block)
        # A value that is multiplied on its way is divided first: exchanged for itself in both.
        with capture(self._model, [self.hook, below]) as found:
            with replace(self._model, self.hook, lambda x: x):
                expected = final_states(self._model, ids)
        try:
            got = self.states(found[self.hook], ids, resid_pre=found[below])
            problem = f"another result on {ids.numel()} tokens"
        except Exception as error:  # a family's code may need more of its blocks than the stream
            got, problem = None, f"{type(error).__name__}: {error}"
        if got is None or not torch.equal(got, expected):
            raise ModelError(
                "this model cannot be run from a block on",
                where=f"{type(self._model).__name__} > {self.hook}",
                expected="the whole model's result",
                got=problem,
            )
