"""The costs of datasets, tokenizers, tokens and models: a formula per rule, in `Sources`."""

from __future__ import annotations

from collections.abc import Sequence

from saeflow.cost import memory
from saeflow.cost.cost import Cost, Known
from saeflow.cost.guess import ZERO, Guess, total
from saeflow.cost.speeds import NETWORK_BYTES_PER_S
from saeflow.plan.job import Job

WEIGHT_BYTES = 4
TOKEN_BYTES, DOCUMENT_BYTES = 1.1, 3.0
"""Bytes of a token in a token store, and of a word in the documents (compressed)."""

GENERATED_PER_S, TOKENIZED_PER_S = 4e5, 3e5
"""Words generated and tokens packed in a second: assumed, of one core."""

_TOKENIZER_S = 4.0
_WEB_DOCUMENT_BYTES = 4700.0


class Sources(Known):
    """The costs of everything up to models; a method per rule, with its jobs of one pass."""

    def _generate_dataset(self, jobs: Sequence[Job]) -> Cost:
        words = Guess(float(jobs[0].settings["generate"]["n_tokens"]), 1.05)
        return Cost(
            words,
            words.scaled(DOCUMENT_BYTES, 1.2),
            Guess(9.0, 1.5),
            total([words.over(Guess(GENERATED_PER_S, 2.0)), Guess(3.0, 2.0)]),
            memory.TABLES_BYTES,
        )

    def _fetch_dataset(self, jobs: Sequence[Job]) -> Cost:
        settings = jobs[0].settings
        if "hub" not in settings:
            return Cost(seconds=Guess(10.0, 3.0), files=Guess(2.0), memory=memory.TABLES_BYTES)
        n = settings.get("n_documents")
        if n is None:
            reason = f"{settings['hub']} is not fetched: its size is not known"
            return Cost(unknown=reason, memory=memory.TABLES_BYTES)
        n_bytes = Guess(n * _WEB_DOCUMENT_BYTES, 3.0)
        seconds = n_bytes.over(Guess(NETWORK_BYTES_PER_S, 5.0))
        return Cost(Guess(float(n)), n_bytes, Guess(3.0), seconds, memory.TABLES_BYTES)

    def _sample_dataset(self, jobs: Sequence[Job]) -> Cost:
        sample, shape = jobs[0].settings["sample"], self.shape(jobs[0].inputs["model"])
        tokens = Guess(float(sample["n_documents"] * sample["max_tokens"]), 2.0)
        if shape is None:
            return Cost(tokens, unknown="the shape of the model")
        rate = self.speeds.blocks_rate(shape, shape.n_layers)
        seconds = tokens.over(Guess(rate.value / 4, rate.times * 2))  # a token at a time
        return Cost(tokens, tokens.scaled(4.0, 1.5), Guess(2.0), seconds, memory.model(shape))

    def _train_tokenizer(self, jobs: Sequence[Job]) -> Cost:
        return self._small(jobs, _TOKENIZER_S)

    def _copy_tokenizer(self, jobs: Sequence[Job]) -> Cost:
        return self._small(jobs, 2.0)

    def _small(self, jobs: Sequence[Job], seconds: float) -> Cost:
        time = total([self.speeds.start_s, Guess(seconds, 2.0)])
        n_files = Guess(5.0 * len(jobs), 1.5)
        return Cost(n_bytes=Guess(2e6, 5.0), files=n_files, seconds=time)

    def _tokenize_dataset(self, jobs: Sequence[Job]) -> Cost:
        tokens = self.tokens(jobs[0])
        if not tokens.known:
            return Cost(unknown=tokens.note)
        n, start = tokens.all, self.speeds.start_s
        files = n.scaled(1 / (1 << 22)).value * 6 + 16
        seconds = total([n.over(Guess(TOKENIZED_PER_S, 2.5)), start])
        return Cost(n, n.scaled(TOKEN_BYTES, 1.5), Guess(files, 1.3), seconds, memory.TABLES_BYTES)

    def _fetch_model(self, jobs: Sequence[Job]) -> Cost:
        shape = self.shape(jobs[0])
        if shape is None:
            return Cost(unknown="the shape of the model")
        n_bytes = Guess(float(shape.n_parameters * WEIGHT_BYTES), 2.0)
        rate = NETWORK_BYTES_PER_S if "hub" in jobs[0].settings else self.speeds.disk_rate.value
        seconds = n_bytes.over(Guess(rate, 5.0))
        return Cost(ZERO, n_bytes, Guess(8.0, 1.5), seconds, memory.PLAIN_BYTES)

    def _train_lm(self, jobs: Sequence[Job]) -> Cost:
        from saeflow.models.training_plan import training_plan

        job = jobs[0]
        plan, shape = training_plan(job.settings), self.shape(job)
        steps = plan.n_steps + plan.induction_steps
        tokens = Guess(float(steps * plan.batch_tokens))
        n_models = 1 + len(plan.checkpoint_steps())
        n_bytes = Guess(float(shape.n_parameters * WEIGHT_BYTES * n_models), 1.3)
        seconds = total([tokens.over(self.speeds.training_rate(shape)), self.speeds.start_s])
        size = memory.training(shape, plan.batch_tokens)
        return Cost(tokens, n_bytes, Guess(3.0 * n_models, 1.3), seconds, size)

    def _select_checkpoint(self, jobs: Sequence[Job]) -> Cost:
        shape = self.shape(jobs[0])
        n_bytes = Guess(float(shape.n_parameters * WEIGHT_BYTES), 1.3) if shape else ZERO
        return Cost(ZERO, n_bytes, Guess(5.0, 1.5), self.speeds.start_s)
