"""Train a small language model from a token store, resumable at any step.

Read `train_lm` first. Batches: `batches`; schedule: `training_plan`.
"""

from __future__ import annotations

import io
import logging
import math
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedModel

from saeflow import device as devices
from saeflow.errors import DataError, ModelError
from saeflow.files import read_json, write_atomic
from saeflow.interrupt import interruptible
from saeflow.logs import Progress
from saeflow.models.batches import IGNORED, Sequences, induction_batch, text_batch
from saeflow.models.record import describe_model
from saeflow.models.training_plan import TrainingPlan, training_plan
from saeflow.tokenizers import TOKENIZER_FILES
from saeflow.tokens.store import open_tokens
from saeflow.work import Work, bulk_of

logger = logging.getLogger(__name__)

LOG, STATE = "log.csv", "state.pt"
_LOG_EVERY_STEPS = 10
_BETAS = (0.9, 0.95)
_GRADIENT_NORM_MAX = 1.0


def train_lm(
    work: Work,
    tokens_record: Path,
    tokenizer_record: Path,
    settings: dict[str, Any],
    *,
    save_every_s: float = 30.0,
) -> None:
    """Train a model in ``work.path``, going on from what an earlier run left, and finish it.

    Parameters
    ----------
    work
        Held, unfinished work. Afterwards it contains the model as a Hugging Face directory
        with its tokenizer, ``step-<n>/`` directories of its checkpoints and ``log.csv``.
    tokens_record, tokenizer_record
        Records of the token store, whose train split is read, and of the tokenizer that made it.
    settings
        The ``train:`` section of the model; see `TrainingPlan`.
    save_every_s
        Wall-clock seconds between saves.
    """
    plan = training_plan(settings)
    tokens, tokenizer = read_json(tokens_record), read_json(tokenizer_record)
    _check_tokenizer(tokens, tokenizer, tokens_record)
    model = build_neox(
        plan,
        vocab_size=tokenizer["vocab_size"],
        context_length=plan.context_length or tokens["context_length"],
        bos_id=tokenizer["bos_id"],
        eos_id=tokenizer["eos_id"],
    ).to(devices.pick())
    sequences = _train_sequences(tokens_record, plan)
    trainer = _Trainer(work.path, plan, model, sequences, tokenizer, tokens["context_length"])
    trainer.run(save_every_s)
    trainer.finish(bulk_of(tokenizer_record))
    name, vocabulary = work.output.parent.name, tokenizer["vocabulary_sha256"]
    facts = describe_model(work.path, name=name, tokenizer=vocabulary)
    work.finish(facts | {"checkpoints": list(plan.checkpoint_steps())})


def build_neox(
    plan: TrainingPlan, *, vocab_size: int, context_length: int, bos_id: int, eos_id: int
) -> GPTNeoXForCausalLM:
    """Return a randomly initialised model; the seed decides its weights.

    Notes
    -----
    Tied embeddings and rotation of all head dimensions: both make copying from the context much
    easier to learn for a model this small than Pythia's untied, quarter-rotary form.
    """
    config = GPTNeoXConfig(
        vocab_size=vocab_size,
        hidden_size=plan.d_model,
        num_hidden_layers=plan.n_layers,
        num_attention_heads=plan.n_heads,
        intermediate_size=4 * plan.d_model,
        max_position_embeddings=context_length,
        initializer_range=plan.initializer_range,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 1.0,
        },
        tie_word_embeddings=True,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        use_cache=False,
        bos_token_id=bos_id,
        eos_token_id=eos_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        return GPTNeoXForCausalLM(config)


@dataclass
class TrainingState:
    """Where a training stands: what a killed one needs to go on as if nothing had happened.

    Attributes
    ----------
    model, optimizer
        With their weights and moments.
    step : int
        The next step; negative during the induction steps. Batches and learning rates are
        functions of it, so it is also the position in the data.
    log : list of (int, float, float)
        Step, mean loss (nats) since the entry before, learning rate.
    pending : list of float
        Losses of the steps since the last entry of the log.
    """

    model: nn.Module
    optimizer: Optimizer
    step: int
    log: list[tuple[int, float, float]] = field(default_factory=list)
    pending: list[float] = field(default_factory=list)

    def save(self, directory: Path) -> None:
        """Write the state to ``directory``, one atomic file that replaces an earlier one."""
        buffer = io.BytesIO()
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "log": self.log,
                "pending": self.pending,
                "rng": torch.get_rng_state(),
            },
            buffer,
        )
        write_atomic(directory / STATE, buffer.getvalue())

    def load(self, directory: Path) -> bool:
        """Read the state from ``directory`` and return whether there was one."""
        if not (directory / STATE).is_file():
            return False
        saved = torch.load(directory / STATE, map_location="cpu", weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.pending = saved["step"], saved["pending"]
        self.log = [tuple(entry) for entry in saved["log"]]
        torch.set_rng_state(saved["rng"])
        return True


class _Trainer:
    """One training: its state, its data and its directory."""

    def __init__(
        self,
        directory: Path,
        plan: TrainingPlan,
        model: PreTrainedModel,
        sequences: Sequences,
        tokenizer: dict[str, Any],
        sequence_tokens: int,
    ) -> None:
        self.directory, self.plan, self.sequences = directory, plan, sequences
        self.batch_sequences = max(1, plan.batch_tokens // sequence_tokens)
        self.eos_id = tokenizer["eos_id"]
        self.word_ids = np.setdiff1d(
            np.arange(tokenizer["vocab_size"]), np.array(tokenizer["special_ids"], dtype=np.int64)
        )
        self.state = TrainingState(model, _optimizer(model, plan), step=-plan.induction_steps)
        self.kept = frozenset(plan.checkpoint_steps())

    def run(self, save_every_s: float) -> None:
        """Train to the end, saving the state on the way and when asked to stop."""
        state, plan = self.state, self.plan
        self._sweep()
        resumed = state.load(self.directory)
        n_done = state.step + plan.induction_steps
        if resumed:
            logger.info("going on at step %d of %d", state.step, plan.n_steps)
        elif 0 in self.kept:
            self._keep(0)
        total = (plan.n_steps + plan.induction_steps) * plan.batch_tokens
        saved_at = time.monotonic()
        with (
            interruptible() as stop,
            Progress(
                total, desc="training", unit="tokens", done=n_done * plan.batch_tokens
            ) as shown,
        ):
            while state.step < plan.n_steps:
                self._step()
                shown.update(plan.batch_tokens)
                if state.step > 0 and state.step in self.kept:
                    self._keep(state.step)
                if stop.requested or time.monotonic() - saved_at >= save_every_s:
                    state.save(self.directory)
                    saved_at = time.monotonic()
                    stop.check()

    def _sweep(self) -> None:
        """Remove what a run that was killed left half-written."""
        for left in (*self.directory.glob("*.partial"), *self.directory.glob(".*.tmp")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _step(self) -> None:
        """Take one step and record its loss."""
        state, plan = self.state, self.plan
        rate = plan.learning_rate_at(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.model.train()
        loss = self._loss(*self._batch(state.step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), _GRADIENT_NORM_MAX)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.pending.append(loss.item())
        if not math.isfinite(state.pending[-1]):
            raise ModelError(
                "the training diverged: the loss is not a number",
                where=f"step {state.step}",
                remedy="Lower learning_rate.",
            )
        state.step += 1
        if state.step % _LOG_EVERY_STEPS == 0 or state.step == plan.n_steps:
            mean = math.fsum(state.pending) / len(state.pending)
            state.log.append((state.step, mean, rate))
            state.pending.clear()

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of a step; negative steps are the induction steps."""
        if step >= 0:
            return text_batch(self.sequences, step, self.batch_sequences, self.eos_id)
        rng = np.random.default_rng([self.plan.seed, step + self.plan.induction_steps])
        return induction_batch(self.word_ids, self.eos_id, self.plan.batch_tokens, rng)

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        device = self.state.model.device
        use_bfloat16 = self.plan.precision == "bfloat16"
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bfloat16):
            logits = self.state.model(input_ids=inputs.to(device)).logits
        targets = targets.to(device).flatten()
        return F.cross_entropy(logits.float().flatten(0, 1), targets, ignore_index=IGNORED)

    def _keep(self, step: int) -> None:
        """Write a checkpoint that is complete as soon as its name exists."""
        final = self.directory / f"step-{step}"
        partial = self.directory / f"step-{step}.partial"
        if final.exists():  # by a run that was killed before it saved its state: the same model
            shutil.rmtree(final)
        self.state.model.save_pretrained(partial)
        partial.replace(final)

    def finish(self, tokenizer_directory: Path) -> None:
        """Write the trained model, its tokenizer and its log; remove the saved state."""
        self.state.model.save_pretrained(self.directory)
        for name in TOKENIZER_FILES:
            if name != "config.json" and (tokenizer_directory / name).is_file():
                shutil.copyfile(tokenizer_directory / name, self.directory / name)
        lines = ["step,loss,learning_rate"]
        lines += [f"{step},{loss!r},{rate!r}" for step, loss, rate in self.state.log]
        write_atomic(self.directory / LOG, ("\n".join(lines) + "\n").encode())
        (self.directory / STATE).unlink(missing_ok=True)


def _optimizer(model: PreTrainedModel, plan: TrainingPlan) -> torch.optim.AdamW:
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=_BETAS, fused=True)


def _train_sequences(tokens_record: Path, plan: TrainingPlan) -> Sequences:
    tokens = open_tokens(tokens_record)
    first, last = tokens.sequence_range("train")
    if last <= first:
        raise DataError(
            "the train split is empty",
            where=tokens_record,
            remedy="Give the dataset more text or a larger train split.",
        )
    offsets = np.asarray(tokens.sequence_offsets)
    n_tokens = int(offsets[last] - offsets[first])
    logger.info(
        "%s tokens to train on, %.1f epochs of %s",
        f"{plan.n_steps * plan.batch_tokens:,}",
        plan.n_steps * plan.batch_tokens / n_tokens,
        f"{n_tokens:,}",
    )
    return Sequences(tokens.token_id, offsets, first, last, seed=plan.seed)


def _check_tokenizer(tokens: dict[str, Any], tokenizer: dict[str, Any], where: Path) -> None:
    made_by = tokens["tokenizer"]["vocabulary_sha256"]
    if made_by != tokenizer["vocabulary_sha256"]:
        raise ModelError(
            "the tokens were made by another tokenizer",
            where=where,
            expected=tokenizer["vocabulary_sha256"],
            got=made_by,
            remedy="Give the model the tokenizer that its dataset was tokenized with.",
        )
