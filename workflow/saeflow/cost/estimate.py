"""What each job will cost: rows, bytes, files, seconds and memory.

A formula per rule, from what `tokens`, `shapes` and `speeds` know. Where jobs share a pass, the
formula is that of the pass; whichever of them runs first does its work. Read `Estimator`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from saeflow import registry
from saeflow.cost import memory
from saeflow.cost.cost import Cost
from saeflow.cost.guess import ZERO, Guess, total
from saeflow.cost.shapes import Shape
from saeflow.cost.sources import WEIGHT_BYTES, Sources
from saeflow.cost.speeds import CORE_FLOPS, JOB_START_S, width_of
from saeflow.cost.stores import store_size
from saeflow.cost.tokens import Tokens
from saeflow.finetune.methods import leaves_encoder
from saeflow.measures.next_tokens import SPAN
from saeflow.plan.job import Job

ROW_BYTES = 1.15
"""Bytes of a row in the row table that the hooks of a place share (compressed)."""

_ENCODING = 0.4  # of a training step: what encoding and decoding alone take
_ABLATIONS = 2
_PROBE_STEPS = 750  # 250 of them, and products as thin as these reach a third of a core's rate
_CODE_COLUMNS = 32  # of activations, which take as long to fit as the latents of an SAE
_LIVE_TIMES = 1.5  # rows are computed more than once where windows and forward passes do not align
_SMALL_RULES = {
    "tabulate": 1.5,
    "plot": 3.5,
    "build_report": 1.5,
    "release_activations": 0.7,
    "simulate": 20.0,
}
_BENCHMARK_TOKENS = 40  # of a prompt, all variants
_N_PROMPT_SETS = 6


class Estimator(Sources):
    """Estimates the jobs of a plan."""

    def together(self, jobs: Sequence[Job]) -> Cost:
        """Return the cost of a pass that makes the results of ``jobs``, all of one rule."""
        rule = jobs[0].rule
        find = getattr(self, f"_{rule}", None)
        if find is None:
            prefix = next((p for p in _SMALL_RULES if rule.startswith(p)), None)
            if prefix is None:
                return Cost(seconds=Guess(JOB_START_S, 3.0), unknown=f"{rule} has no formula")
            seconds = Guess(_SMALL_RULES[prefix] * len(jobs), 2.0)
            files = Guess(2.0 * len(jobs), 1.5)
            return Cost(n_bytes=Guess(1e5 * len(jobs), 3.0), files=files, seconds=seconds)
        return find(jobs)

    def peak(self, jobs: Sequence[Job]) -> float:
        """Return the bytes of memory of a pass, or 0 where they are not known."""
        activations = jobs[0].inputs.get("activations", jobs[0])
        shape = self.shape(activations.inputs["model"])
        if shape is None:
            return 0.0
        if jobs[0].rule.startswith("harvest"):
            return memory.harvest(shape, jobs[0].settings["batch_tokens"], len(jobs))
        fits = memory.fits(shape.d_model, *_sizes(jobs, shape.d_model))
        if not activations.settings.get("live"):
            return fits
        tokens = self.tokens(activations.inputs["tokens"])
        rows = round(tokens.splits["train"].value) if tokens.known else None
        return fits + memory.live(shape, activations.settings, rows)

    def _harvest_activations(self, jobs: Sequence[Job]) -> Cost:
        first = jobs[0]
        tokens, shape = self.tokens(first.inputs["tokens"]), self.shape(first.inputs["model"])
        if not tokens.known or shape is None:
            return Cost(unknown=tokens.note or "the shape of the model")
        n, settings = tokens.all, first.settings
        if settings.get("live"):  # what is stored says how to compute them
            return Cost(n, Guess(1e5, 3.0), Guess(6.0, 2.0), self.speeds.start_s.scaled(2, 2))
        size = store_size(
            round(n.value), shape.d_model, settings["dtype"], settings.get("shard_rows")
        )
        blocks = max(map(_blocks, jobs))
        written = Guess(float(size.n_bytes * len(jobs)), n.times)
        seconds = total(
            [
                self.speeds.start_s,
                n.over(self.speeds.blocks_rate(shape, min(blocks, shape.n_layers))),
                written.over(self.speeds.disk_rate),
            ]
        )
        files = Guess(float(size.n_files * len(jobs)), n.times)
        return Cost(n, written, files, seconds, self.peak(jobs))

    def _import_sae(self, jobs: Sequence[Job]) -> Cost:
        place = self._place(jobs[0].inputs["activations"])
        if isinstance(place, str):
            return Cost(unknown=place)
        d = place[1].d_model
        weights = sum(2 * d * width_of(job.settings, d) for job in jobs)
        n_bytes = Guess(float(weights * WEIGHT_BYTES), 4.0)
        seconds = self.speeds.start_s.scaled(2.0 * len(jobs), 2.0)
        return Cost(n_bytes=n_bytes, files=Guess(4.0 * len(jobs), 1.5), seconds=seconds)

    def _train_sae(self, jobs: Sequence[Job]) -> Cost:
        return self._fits(jobs, [(job.settings, job.settings) for job in jobs])

    def _finetune_sae(self, jobs: Sequence[Job]) -> Cost:
        parents = [job.inputs["parent"] for job in jobs]
        both = zip(jobs, parents, strict=True)
        return self._fits(jobs, [(job.settings, parent.settings) for job, parent in both])

    def _fits(
        self, jobs: Sequence[Job], settings: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> Cost:
        """Cost of fitting some SAEs in one pass: settings of the run, and of the architecture."""
        place = self._place(jobs[0].inputs["activations"])
        if isinstance(place, str):
            return Cost(unknown=place)
        n_train, d = place[0].splits["train"], place[1].d_model
        widths, seconds, rows = [], [self.speeds.start_s], []
        for run, recipe in settings:
            widths.append(width_of(recipe, d))
            epochs = run.get("epochs") or 1
            wanted = run.get("tokens")
            tokens = Guess(float(wanted)) if wanted else n_train.scaled(epochs)
            batch = run.get("batch_size") or 1024
            step = self.speeds.step({**recipe, "batch_size": batch}, d)
            share = _of_a_step(run)
            seconds.append(
                step.scaled(tokens.value / batch * share.value, tokens.times * share.times)
            )
            if run.get("solver") == "kl_mse":
                seconds.append(self._model_in_the_loop(jobs[0].inputs["activations"], tokens))
            rows.append(tokens)
        # jobs of a pass share the rows; where settings keep them apart, each computes its own
        seconds.append(self._computed(jobs[0].inputs["activations"], max(rows)))
        n_bytes = Guess(float(sum(2 * d * w + 2 * w for w in widths) * WEIGHT_BYTES), 1.02)
        files = Guess(5.0 * len(jobs), 1.5)
        return Cost(max(rows), n_bytes, files, total(seconds), self.peak(jobs))

    def _model_in_the_loop(self, activations: Job, rows: Guess) -> Guess:
        """Return the seconds of a clean pass, and of one from the hook on with its gradients."""
        shape, speeds = self.shape(activations.inputs["model"]), self.speeds
        behind = 3 * max(0, shape.n_layers - _blocks(activations)) / shape.n_layers
        return total(
            [
                rows.over(speeds.blocks_rate(shape, shape.n_layers)).scaled(1 + behind, 2.0),
                rows.over(speeds.head_rate(shape)).scaled(4.0, 2.0),
            ]
        )

    def _computed(self, activations: Job, rows: Guess) -> Guess:
        """Return the seconds in which a reader computes rows itself: none where they are stored."""
        shape = self.shape(activations.inputs["model"])
        if not activations.settings.get("live") or shape is None:
            return ZERO
        blocks = min(_blocks(activations), shape.n_layers)
        return rows.over(self.speeds.blocks_rate(shape, blocks)).scaled(1.0, _LIVE_TIMES)

    def _place(self, activations: Job) -> tuple[Tokens, Shape] | str:
        """Return tokens and model behind a store, or why they are not known."""
        tokens = self.tokens(activations.inputs["tokens"])
        shape = self.shape(activations.inputs["model"])
        if not tokens.known or shape is None:
            return tokens.note or "the shape of the model"
        return tokens, shape

    def _measure_reconstruction(self, jobs: Sequence[Job]) -> Cost:
        place = self._place(jobs[0].inputs["activations"])
        if isinstance(place, str):
            return Cost(unknown=place)
        shape, n = place[1], place[0].splits["test"]
        seconds = [self.speeds.start_s, Guess(1.0 * len(jobs), 2.0)]
        seconds += [self._encoding(job.inputs["sae"], shape.d_model, n) for job in jobs]
        # all SAEs of the pass read the rows twice: for their mean, and to measure
        seconds.append(self._computed(jobs[0].inputs["activations"], n.scaled(2.0)))
        return self._measured(jobs, n, shape, total(seconds))

    def _measure_language(self, jobs: Sequence[Job]) -> Cost:
        place = self._place(jobs[0].inputs["activations"])
        if isinstance(place, str):
            return Cost(unknown=place)
        shape, n = place[1], place[0].splits["test"]
        speeds, layers = self.speeds, shape.n_layers
        block = _blocks(jobs[0].inputs["activations"]) - 1
        variants = len(jobs) + _ABLATIONS
        # the clean pass, then what lies behind the hook; each variant compares two distributions
        passes = 1 + variants * max(0, layers - 1 - block) / layers
        halved = speeds.threads / speeds.half
        seconds = [
            speeds.start_s,
            n.over(speeds.blocks_rate(shape, layers)).scaled(passes * halved, 1.3),
            n.over(speeds.head_rate(shape)).scaled((1 + 2 * variants) * halved, 1.3),
            *(self._encoding(job.inputs["sae"], shape.d_model, n) for job in jobs),
        ]
        return self._measured(jobs, n, shape, total(seconds))

    def _measure_probes(self, jobs: Sequence[Job]) -> Cost:
        fitted = jobs[0].inputs.get("fitted", jobs[0].inputs["activations"])
        places = self._place(jobs[0].inputs["activations"]), self._place(fitted)
        for place in places:
            if isinstance(place, str):
                return Cost(unknown=place)
        (tokens, shape), (train, _) = places
        settings, n, d = jobs[0].settings, tokens.splits["test"], shape.d_model
        rows, all_rows = settings["rows"], train.splits["train"]
        columns = d + _CODE_COLUMNS * len(jobs)
        step = 2 * 2 * rows * settings["classes"] * columns / CORE_FLOPS
        seconds = [self.speeds.start_s, Guess(_PROBE_STEPS * step, 3.0)]
        seconds += [self._encoding(job.inputs["sae"], d, n) for job in jobs]
        seen = Guess(min(all_rows.value, float(SPAN * rows)), all_rows.times)
        for store, of in ((jobs[0].inputs["activations"], n), (fitted, seen)):
            seconds.append(self._computed(store, of))
        return self._measured(jobs, n, shape, total(seconds))

    def _encoding(self, sae: Job, d: int, n: Guess) -> Guess:
        """Return the seconds of putting ``n`` rows through an SAE."""
        recipe = sae.inputs["parent"].settings if "parent" in sae.inputs else sae.settings
        batch = recipe.get("batch_size") or 1024
        step = self.speeds.step({**recipe, "batch_size": batch}, d)
        return step.scaled(_ENCODING * n.value / batch, n.times * 2)

    def _measured(self, jobs: Sequence[Job], n: Guess, shape: Shape, seconds: Guess) -> Cost:
        n_bytes = Guess(1.5e5 * len(jobs), 4.0)
        return Cost(n, n_bytes, Guess(4.0 * len(jobs), 1.5), seconds, memory.measuring(shape))

    def _measure_benchmarks(self, jobs: Sequence[Job]) -> Cost:
        job = jobs[0]
        shape, dataset = self.shape(job.inputs["model"]), job.inputs["dataset"].settings
        n = dataset["generate"]["n_prompts"] * _N_PROMPT_SETS * _BENCHMARK_TOKENS
        tokens = self.tokens(job.inputs["tokens"])
        parts = [Guess(float(n), 3.0), *([tokens.splits["test"]] if tokens.known else [])]
        rows = total(parts)
        rate = self.speeds.blocks_rate(shape, shape.n_layers)
        seconds = total([self.speeds.start_s, rows.over(rate).scaled(2.0, 2.0)])
        return Cost(rows, Guess(3e5, 4.0), Guess(4.0, 1.5), seconds, memory.measuring(shape))


def _of_a_step(run: Mapping[str, Any]) -> Guess:
    """Return the time of a fit's step as a share of a training step's.

    Codes of a frozen encoder are computed once for all methods of a pass.
    """
    if "method" not in run:
        return Guess(1.0)
    if run["solver"] == "exact":
        return Guess(0.6, 2.0)
    trainable = registry.load("finetune.methods", run["method"]).TRAINABLE
    return Guess(0.5, 1.5) if leaves_encoder(trainable) else Guess(1.0, 1.3)


def _blocks(activations: Job) -> int:
    """Return how many blocks of the model a hook needs."""
    return 1 + int(re.search(r"\d+$", activations.settings["hook"])[0])


def _sizes(jobs: Sequence[Job], d_in: int) -> tuple[list[int], int]:
    """Return the widths of SAEs that are fitted together, and their largest batch."""
    recipes = [(job.inputs["parent"] if "parent" in job.inputs else job).settings for job in jobs]
    batches = [job.settings.get("batch_size") or 1024 for job in jobs]
    return [width_of(recipe, d_in) for recipe in recipes], max(batches)


def row_table(tokens: Tokens) -> Guess:
    """Return the bytes of the row table that the hooks of a place share."""
    return tokens.all.scaled(ROW_BYTES, 1.3)


def passes_of(jobs: Iterable[Job]) -> list[list[Job]]:
    """Group jobs that are done together."""
    groups: dict[Any, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.shared_pass or (job.output,), []).append(job)
    return list(groups.values())
