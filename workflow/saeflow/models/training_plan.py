"""What follows from the settings of a language model's training, without torch.

The planner reads this to know which checkpoints a model will have. The settings themselves are
`saeflow.config.sources.LanguageModel`. Read `TrainingPlan` first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from saeflow.config.sources import LOG_SPACED, LanguageModel

_FINAL_LEARNING_RATE_FRAC = 0.02
# Abilities that appear suddenly (who receives?) need the full rate for long.
_FLAT_FRAC = 0.5
_INDUCTION_RAMP_STEPS = 50
_NOT_OURS = {"dataset", "packing", "tokenizer"}  # they name inputs: their records say the rest


class TrainingPlan(LanguageModel):
    """How one GPT-NeoX is built and trained.

    The induction steps come before any text: runs to repeat, and pairs of which one is named and
    the other follows. Attention that copies, and that leaves out what was just named, forms within
    a few hundred such steps, and hardly within the whole training without.
    """

    def checkpoint_steps(self) -> tuple[int, ...]:
        """Return the steps on text after which a checkpoint is kept, the last step not among them.

        Step 0 is the random initialisation; the model after the last step is the trained model
        itself.
        """
        if self.checkpoints == LOG_SPACED:
            powers = (1 << i for i in range(self.n_steps.bit_length()))
            return (0, *(step for step in powers if step < self.n_steps))
        return tuple(sorted(set(self.checkpoints)))

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step; negative steps are the induction steps.

        Over the second half of the text it falls along a cosine to a fiftieth.
        """
        if step < 0:
            return self.learning_rate * min(
                1.0, (step + self.induction_steps + 1) / _INDUCTION_RAMP_STEPS
            )
        warmup_steps = max(1, self.warmup_tokens // self.batch_tokens)
        falling = max(0.0, step / self.n_steps - _FLAT_FRAC) / (1 - _FLAT_FRAC)
        cosine = 0.5 * (1 + math.cos(math.pi * falling))
        fall = _FINAL_LEARNING_RATE_FRAC + (1 - _FINAL_LEARNING_RATE_FRAC) * cosine
        return self.learning_rate * min(1.0, (step + 1) / warmup_steps) * fall


def training_plan(settings: Mapping[str, Any]) -> TrainingPlan:
    """Return the plan of a ``train:`` section of the configuration.

    Raises
    ------
    ConfigError
        If a key is unknown or a value impossible.
    """
    values = {key: value for key, value in settings.items() if key not in _NOT_OURS}
    return TrainingPlan.read(values, where="models > train")
