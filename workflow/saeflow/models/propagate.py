"""What becomes of a change at one hook in the rest of the model: as a whole, and by which way.

After one clean pass over a batch, each question takes one pass through the blocks after the hook,
in which some parts are held at what they gave in the clean pass. Read `Propagation`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, available_hooks, capture, sites_of
from saeflow.models.patched import CleanPass, PatchedModel
from saeflow.models.patterns import FrozenPatterns
from saeflow.models.slices import final_states

logger = logging.getLogger(__name__)

ATTENTION, MLP, PATTERNS = "attention_frozen", "mlp_frozen", "patterns_frozen"
FREEZING = (ATTENTION, MLP, PATTERNS)
"""Which parts after the hook are held: what the attention gives, what the MLP gives, or only where
the attention looks."""
_Function = Callable[[torch.Tensor], torch.Tensor]
_SITES = {ATTENTION: "attn_out", MLP: "mlp_out"}


class Clean(NamedTuple):
    """The untouched model on one batch.

    Attributes
    ----------
    input_ids : Tensor (batch, seq) int64
        The tokens.
    states : Tensor (batch, seq, d_model)
        Final states.
    at : dict
        Hook -> Tensor (batch, seq, d), of all that is asked about or held.
    """

    input_ids: torch.Tensor
    states: torch.Tensor
    at: Mapping[Hook, torch.Tensor]


class Propagation:
    """A model, and what a change of the activations at some hooks does to it.

    Parameters
    ----------
    model
        A causal language model in eval mode.
    changed
        Hooks whose activations are exchanged.
    seen
        Hooks whose activations are looked at then.

    Attributes
    ----------
    head : Head
        Final states -> logits.
    freezing : tuple of str
        Those of `FREEZING` that the model allows; why not the others, stands in the log.
    """

    def __init__(self, model: nn.Module, changed: Iterable[Hook], seen: Iterable[Hook]) -> None:
        self._model = model
        self._patched = {hook: PatchedModel(model, hook) for hook in dict.fromkeys(changed)}
        end = [hook for hook in available_hooks(model) if hook.site == "resid_post"][-1]
        self._end = PatchedModel(model, end)
        self.head = self._end.head
        self._held = self._sites_held()
        self._patterns: FrozenPatterns | None = None
        try:
            self._patterns = FrozenPatterns(model)
        except ModelError as error:
            logger.warning("No %s: %s", PATTERNS, error)
        kept = (name for name in FREEZING if name in self._held or name == PATTERNS)
        self.freezing = tuple(name for name in kept if name != PATTERNS or self._patterns)
        below = (Hook("resid_pre", hook.block) for hook in self._patched)
        held = (hook for hooks in self._held.values() for hook in hooks)
        self._captured = list(dict.fromkeys([*self._patched, *below, *seen, end, *held]))

    def clean(self, input_ids: torch.Tensor) -> Clean:
        """Run the untouched model on ``input_ids`` (batch, seq)."""
        with ExitStack() as stack:
            found = stack.enter_context(capture(self._model, self._captured))
            if self._patterns:
                stack.enter_context(self._patterns.keep())
            states = final_states(self._model, input_ids)
        return Clean(input_ids, states, found)

    def full(
        self, hook: Hook, x: torch.Tensor, clean: Clean, seen: Sequence[Hook] = ()
    ) -> tuple[torch.Tensor, dict[Hook, torch.Tensor]]:
        """Return final states with ``x`` (batch, seq, d) at the hook, and the values at later ones.

        ``clean`` is the same batch without the change.
        """
        with capture(self._model, seen) as found:
            states = self._run(hook, x, clean)
        return states, found

    def direct(
        self, hook: Hook, x: torch.Tensor, clean: Clean, seen: Sequence[Hook] = ()
    ) -> tuple[torch.Tensor, dict[Hook, torch.Tensor]]:
        """Return the same where no block answers to the change: the stream carries it to the end.

        All that attention and MLPs add after the hook is what it was, so the stream is its clean
        self and the change, and what they give at hooks of their own is clean.
        """
        change = x - clean.at[hook]
        found = {
            other: clean.at[other] + change if other.site.startswith("resid") else clean.at[other]
            for other in seen
        }
        end = self._end.hook
        value = x if hook == end else clean.at[end] + change
        return self._end.states(value, _pass(clean, end), clean.input_ids), found

    def frozen(self, name: str, hook: Hook, x: torch.Tensor, clean: Clean) -> torch.Tensor:
        """Return final states with ``x`` at the hook and later parts held, by `freezing`."""
        if name == PATTERNS:
            with self._patterns.freeze():
                return self._run(hook, x, clean)
        later = (other for other in self._held[name] if hook < other)
        held = {other: lambda _, at=clean.at[other]: at for other in later}
        return self._run(hook, x, clean, held)

    def chain(
        self, hook: Hook, x: torch.Tensor, clean: Clean, others: Mapping[Hook, _Function]
    ) -> torch.Tensor:
        """Return final states with ``x`` at the hook, and at later ones a function of what comes.

        Each of ``others`` maps the activations (batch, seq, d) that reach its hook, which what was
        exchanged before it has already changed.
        """
        return self._run(hook, x, clean, others)

    def _run(
        self, hook: Hook, x: torch.Tensor, clean: Clean, also: Mapping[Hook, _Function] = {}
    ) -> torch.Tensor:
        return self._patched[hook].states(x, _pass(clean, hook), clean.input_ids, also=also)

    def _sites_held(self) -> dict[str, list[Hook]]:
        """Return the parts that can be held, where every block has them."""
        sites, found = sites_of(self._model), {}
        for name, site in _SITES.items():
            without = [block for block, own in enumerate(sites) if site not in own.points]
            if without:
                logger.warning("No %s: block %d has no %s.", name, without[0], site)
            else:
                found[name] = [Hook(site, block) for block in range(len(sites))]
        return found


def _pass(clean: Clean, hook: Hook) -> CleanPass:
    """Return what a `PatchedModel` wants of the clean pass; the end's tail needs no block."""
    x, below = clean.at[hook], Hook("resid_pre", hook.block)
    return CleanPass(clean.states, x, clean.at.get(below, x), x)
