"""What a pass has to do: rows, bytes, files, and how much there is to compute.

Sizes of stores are exact where their tokens are known. Computing is counted in seconds of an
assumed core, roughly, but in one way for all passes of a kind: `saeflow.cost.speeds` compares
passes to come with those that were timed. Read `Works`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from saeflow.config.amounts import n_parts
from saeflow.config.recipes import wants_coefficient
from saeflow.cost.guess import ZERO, Guess, UnknownError, Work, total
from saeflow.cost.labelled import done_with
from saeflow.cost.pairs import compared, descended, kept
from saeflow.cost.shapes import OPERATIONS_PER_S, Shape, shape_of
from saeflow.cost.tokens import Tokens, manifest_of, tokens_of, tokens_of_prompts
from saeflow.files import canonical_json
from saeflow.hooks import Hook
from saeflow.inventory import read_record
from saeflow.models.training_plan import training_plan
from saeflow.plan.result import Result
from saeflow.sae.baselines import BASELINES

_NETWORK_BYTES_PER_S, _DISK_BYTES_PER_S = 2e7, 3e8
_GENERATED_PER_S, _TOKENIZED_PER_S = 4e5, 3e5
_SECONDS = {"simulate": 20.0, "plot": 1.5}  # a result; one of another rule takes 1

_WEIGHT_BYTES, _TOKEN_BYTES, _DOCUMENT_BYTES = 4, 1.1, 3.0  # of tokens and words compressed
_WEB_DOCUMENT_BYTES, _SMALL_BYTES = 4700.0, 1.5e5
_METADATA_FILES = 8

_BACKWARD = 3  # a training step takes three times the operations of a forward pass
_SAMPLING = 4  # a token at a time
_PRODUCTS = {
    **{"topk": 3, "batchtopk": 3, "matryoshka": 4, "relu": 6, "jumprelu": 7, "p_anneal": 8},
    **{"gated": 10, "exact": 1, "steps": 3, "kl_mse": 6},
}  # of a batch and W_enc, which a step of a training or of a solver takes
_OTHER_PRODUCTS = 6
_SEARCH = 0.4  # of a training's rows, for a coefficient: some trials at 1/32, and one at 1/8
_IMPORTED_EXPANSION = 16
_LONG = 1024  # tokens of a sequence that is as long as its document
_VARIANTS = {
    "controls": 3,
    "clean": 3,
    "propagation": 6,
}  # runs of a model with an SAE, or from a hook on


def together(works: Iterable[Work]) -> Work:
    """Return the sum of what some passes do, without those of which nothing is known."""
    works = list(works)
    unknown = next((work.unknown for work in works if work.unknown), "")
    return Work(
        *map(total, zip(*(work[:4] for work in [Work(), *works]), strict=True)), unknown=unknown
    )


def kind_of(result: Result) -> str:
    """Return the rule, and of a measurement which: speeds of other kinds tell nothing."""
    return f"measure {result.place['measure']}" if result.rule == "measure" else result.rule


def model_of(result: Result) -> Result | None:
    """Return the model that a result is made with, or that made the activations that it reads."""
    store = result.inputs.get("activations")
    return result.inputs.get("model") or (store and store.inputs["model"])


def store_size(
    n_rows: int, d_model: int, dtype: str, shard_rows: int | None = None
) -> tuple[int, int]:
    """Return the bytes of all shards of a hook's store, and the files of the store: exact."""
    from saeflow.activations.layout import plan_layout

    layout = plan_layout(n_rows, d_model, dtype, shard_rows)
    n_bytes = sum(map(layout.file_bytes, range(layout.n_shards)))
    return n_bytes, 3 * layout.n_shards + _METADATA_FILES  # two small files for each shard


class Works:
    """Finds the work of passes, a method per rule, and what is known of what they read.

    Attributes
    ----------
    notes : dict
        What had to be assumed, each once, in order.
    """

    def __init__(self) -> None:
        self.notes: dict[str, None] = {}
        self.tokens, self.shape = cache(self._tokens), cache(self._shape)

    def __call__(self, results: Sequence[Result]) -> Work:
        """Return the work of a pass that makes some results."""
        try:
            work = getattr(self, f"_{results[0].rule}", self._small)(results)
        except UnknownError as reason:
            return Work(unknown=str(reason))
        return work._replace(count=work.count or work.rows.value or len(results))

    def _tokens(self, store: Result) -> Tokens:
        """Return the tokens of a token store."""
        tokens = tokens_of(store)
        self._note(store, tokens.note)
        return tokens

    def _shape(self, model: Result) -> Shape:
        """Return the shape of a model."""
        tokenizer = model.inputs.get("tokenizer")
        shape = shape_of(model, tokenizer and manifest_of(tokenizer).get("vocab_size"))
        self._note(model, shape.note)
        return shape

    def width(self, sae: Result, d_in: int) -> int:
        """Return d_sae of an SAE; it is assumed of one from elsewhere that is not there yet."""
        if "parent" in sae.inputs:
            return self.width(sae.inputs["parent"], d_in)
        recipe = sae.settings
        if recipe.get("d_sae") or recipe.get("expansion"):
            return recipe.get("d_sae") or round(recipe["expansion"] * d_in)
        if recipe.get("architecture") in BASELINES:  # a direction and its opposite
            return 2 * (recipe.get("components") or d_in)
        record = read_record(sae.output)
        if record.get("identity") == sae.identity:
            return record["d_sae"]
        self._note(sae, f"{_IMPORTED_EXPANSION} latents for each input, while it is not imported")
        return _IMPORTED_EXPANSION * d_in

    def _read_width(self, sae: Result) -> int:
        """Return the width of what an SAE reads: of a crosscoder, that of all its hooks."""
        names = [name for name in sae.inputs if name.startswith(("activations", "joined_"))]
        return sum(self.shape(sae.inputs[name].inputs["model"]).d_model for name in names)

    def _note(self, of: Result, text: str) -> None:
        if text:
            self.notes.setdefault(f"{of.output.parent}: {text}")

    # -- sources ------------------------------------------------------------------------------

    def _generate_dataset(self, results: Sequence[Result]) -> Work:
        words = Guess(results[0].settings["generate"]["n_tokens"], 1.05)
        n_bytes = words.scaled(_DOCUMENT_BYTES, 1.2)
        return Work(words, words.scaled(1 / _GENERATED_PER_S), n_bytes, Guess(9, 1.5))

    def _fetch_dataset(self, results: Sequence[Result]) -> Work:
        settings = results[0].settings
        if "hub" not in settings:
            return self._small(results)
        n = settings.get("n_documents")
        if n is None:
            raise UnknownError(f"{settings['hub']} is not fetched: its size is not known")
        n_bytes = Guess(n * _WEB_DOCUMENT_BYTES, 3.0)
        return Work(Guess(n), n_bytes.scaled(1 / _NETWORK_BYTES_PER_S), n_bytes, Guess(3, 1.5))

    def _sample_dataset(self, results: Sequence[Result]) -> Work:
        sample, shape = results[0].settings["sample"], self.shape(results[0].inputs["model"])
        tokens = Guess(sample["n_documents"] * sample["max_tokens"], 2.0)
        amount = tokens.scaled(_SAMPLING * 2 * shape.n_parameters / OPERATIONS_PER_S)
        return Work(tokens, amount, tokens.scaled(4.0, 1.5), Guess(2, 1.5))

    def _tokenize_dataset(self, results: Sequence[Result]) -> Work:
        n = self.tokens(results[0]).all
        files = Guess(n.value / (1 << 22) * 6 + 16, 1.3)
        return Work(n, n.scaled(1 / _TOKENIZED_PER_S), n.scaled(_TOKEN_BYTES, 1.5), files)

    def _fetch_model(self, results: Sequence[Result]) -> Work:
        n_bytes = Guess(self.shape(results[0]).n_parameters * _WEIGHT_BYTES, 2.0)
        rate = _NETWORK_BYTES_PER_S if "hub" in results[0].settings else _DISK_BYTES_PER_S
        return Work(ZERO, n_bytes.scaled(1 / rate), n_bytes, Guess(8, 1.5))

    _select_checkpoint = _shuffle_model = _fetch_model

    def _train_lm(self, results: Sequence[Result]) -> Work:
        plan, shape = training_plan(results[0].settings), self.shape(results[0])
        tokens = Guess((plan.n_steps + plan.induction_steps) * plan.batch_tokens)
        amount = tokens.scaled(2 * _BACKWARD * shape.n_parameters / OPERATIONS_PER_S)
        n = 1 + len(plan.checkpoint_steps())
        return Work(
            tokens, amount, Guess(shape.n_parameters * _WEIGHT_BYTES * n, 1.3), Guess(3 * n, 1.3)
        )

    # -- activations and SAEs -----------------------------------------------------------------

    def _harvest(self, results: Sequence[Result]) -> Work:
        settings, inputs, n = results[0].settings, results[0].inputs, len(results)
        if settings["live"]:  # what is stored says how to compute them
            return self._small(results)
        rows, d = self.tokens(inputs["tokens"]).all, self.shape(inputs["model"]).d_model
        layout = settings["dtype"], settings.get("shard_rows")
        n_bytes, n_files = store_size(round(rows.value), d, *layout)
        written = Guess(n_bytes * n, rows.times)
        computed = rows.scaled(max(map(self._forward, results)) / OPERATIONS_PER_S)
        amount = total([computed, written.scaled(1 / _DISK_BYTES_PER_S)])
        return Work(rows, amount, written, Guess(n_files * n, rows.times))

    def _forward(self, store: Result) -> float:
        """Return the operations that the activations of a token take."""
        shape = self.shape(store.inputs["model"])
        n_blocks = 1 + int(re.search(r"\d+$", store.settings["hook"])[0])
        return 2 * min(n_blocks, shape.n_layers) * shape.block_parameters

    def _import_saes(self, results: Sequence[Result]) -> Work:
        n_bytes = self._weights(results, self.shape(results[0].inputs["model"]).d_model)
        amount = n_bytes.scaled(1 / _NETWORK_BYTES_PER_S)
        return Work(ZERO, amount, n_bytes, Guess(4 * len(results), 1.5))

    def _train_saes(self, results: Sequence[Result]) -> Work:
        store = results[0].inputs["activations"]
        shape = self.shape(store.inputs["model"])
        n_train = self.tokens(store.inputs["tokens"]).splits["train"]
        groups, operations, count, searched, searching = {}, [], 0.0, {}, {}
        for one in results:
            run = one.settings
            rows = n_train.scaled((run.get("epochs") or 1) / n_parts(run))
            if run.get("tokens") is not None:
                rows = Guess(run["tokens"])
            name = run.get("solver") or run["architecture"]
            products = _PRODUCTS.get(name, _OTHER_PRODUCTS)
            per_row = 2 * products * self._read_width(one) * self.width(one, shape.d_model)
            if name == "kl_mse":
                per_row += 2 * _BACKWARD * shape.n_parameters
            operations.append(rows.scaled(per_row))
            if wants_coefficient(run):  # seeds have one
                recipe = canonical_json({key: run[key] for key in run if key != "seed"})
                searched[recipe] = rows.scaled(_SEARCH)
                searching[recipe] = searched[recipe].scaled(per_row)
            count += rows.value
            shared = ("solver", "batch_size", "order_seed", "window_rows", "part")
            group = (*map(run.get, shared), one.inputs["parent"] if name == "exact" else None)
            groups[group] = max(groups.get(group, ZERO), rows)
        rows = total(groups.values())  # a group shares its batches, or the sums that it solves
        operations.extend(searching.values())
        if store.settings["live"]:
            operations.append(total([rows, *searched.values()]).scaled(self._forward(store)))
        amount = total(operations).scaled(1 / OPERATIONS_PER_S)
        n_bytes = self._weights(results, shape.d_model)
        return Work(rows, amount, n_bytes, Guess(5 * len(results), 1.5), count)

    _finetune_saes = _train_saes

    def _weights(self, saes: Sequence[Result], d: int) -> Guess:
        """Return the bytes of some SAEs."""
        widths = {one: self._read_width(one) if "activations" in one.inputs else d for one in saes}
        n = sum(2 * (own + 1) * self.width(one, d) + own for one, own in widths.items())
        return Guess(n * _WEIGHT_BYTES, 4.0 if saes[0].rule == "import_saes" else 1.02)

    # -- measurements, and all else -----------------------------------------------------------

    def _measure(self, results: Sequence[Result]) -> Work:
        inputs, model, small = results[0].inputs, model_of(results[0]), self._small(results)
        if "prompts" in inputs and model is not None:
            return self._ask(results, self.shape(model))
        if "labelled" in inputs:
            done = done_with(results, self)
            n_bytes = total([small.n_bytes, done.n_bytes])
            count = done.rows.value * len(results)
            return done._replace(n_bytes=n_bytes, files=small.files, count=count)
        if "other_sae" in inputs:  # pairs
            told = compared if "activations" in inputs else descended
            done = told(results, self)
            return done._replace(files=small.files, count=done.rows.value * len(results))
        store = inputs.get("activations")
        tokens = inputs.get("tokens") or (store and store.inputs["tokens"])
        if model is None or tokens is None:
            return small
        rows, shape = self.tokens(tokens).splits["test"], self.shape(model)
        told = [results[0], *([inputs["clean"]] if "clean" in inputs else [])]
        limits = [one.settings["tokens"] for one in told if one.settings.get("tokens")]
        rows = rows._replace(value=min(rows.value, *limits, math.inf))
        saes = [one.inputs["sae"] for one in results if "sae" in one.inputs]
        # others read what arrives of a change twice, of its whole and of its direct effect
        read = [*saes, *(2 * [other for one in results for other in one.inputs.get("others", ())])]
        operations = sum(4 * shape.d_model * self.width(one, shape.d_model) for one in read)
        variants = _VARIANTS.get(results[0].place["measure"], 1)
        taken_out = "exact" in results[0].settings  # latents, one by one, from some sequences
        if taken_out:
            variants = _taken_out(results[0].settings, tokens, rows)
        if "clean" in inputs or taken_out:  # from each hook on, as it is and with each SAE
            of_hook = {one.inputs["sae"].place["hook"]: one for one in results}
            once = _BACKWARD if taken_out else 1
            operations += once * sum(self.behind(one, shape) for one in of_hook.values())
            operations += variants * sum(self.behind(one, shape) for one in results)
        elif "model" in inputs:  # once as it is, and with other activations of each hook
            operations += 2 * shape.n_parameters
            of_hooks = [one for one in results if {"activations", "others"} & {*one.inputs}]
            operations += variants * sum(self.behind(one, shape) for one in of_hooks)
        if store and store.settings["live"]:
            operations += self._forward(store)
        done = {"rows": rows, "amount": rows.scaled(operations / OPERATIONS_PER_S)}
        if results[0].place["measure"] == "codes":
            amount, n_bytes = kept(results, rows, self)
            done["amount"] = total([done["amount"], amount])
            done["n_bytes"] = total([small.n_bytes, n_bytes])
        return small._replace(**done, count=rows.value * len(results))

    def behind(self, measurement: Result, shape: Shape) -> float:
        """Return the operations that a token takes from the hook of a measurement on."""
        inputs = measurement.inputs
        read = inputs.get("target", inputs.get("activations"))
        hook = Hook.parse(read.settings["hook"] if read else inputs["sae"].place["hook"])
        n_blocks = shape.n_layers - hook.block - (hook.site == "resid_post")
        return 2 * (n_blocks * shape.block_parameters + shape.vocab_size * shape.d_model)

    def _ask(self, results: Sequence[Result], shape: Shape) -> Work:
        """Return the work of asking prompts: each set once as it is, and once with each SAE."""
        sets = {one.inputs["prompts"]: tokens_of_prompts(one.inputs["prompts"]) for one in results}
        rows, forward = total(sets.values()), 2 * shape.n_parameters
        amounts = [rows.scaled(forward / OPERATIONS_PER_S)]
        for one in results:
            width = self.width(one.inputs["sae"], shape.d_model) if "sae" in one.inputs else 0
            operations = forward + 4 * shape.d_model * width
            amounts.append(sets[one.inputs["prompts"]].scaled(operations / OPERATIONS_PER_S))
        count = rows.value * len(results)
        return self._small(results)._replace(rows=rows, amount=total(amounts), count=count)

    def _small(self, results: Sequence[Result]) -> Work:
        n, seconds = len(results), _SECONDS.get(results[0].rule, 1.0)
        return Work(ZERO, Guess(seconds * n), Guess(_SMALL_BYTES * n, 4.0), Guess(4 * n, 1.5))


def _taken_out(settings: Mapping[str, Any], tokens: Result, rows: Guess) -> float:
    """Return how many runs over all rows it makes to take latents out of a few sequences each."""
    length = tokens.settings["context_length"] or _LONG
    share = min(1.0, settings["exact_sequences"] * length / max(1.0, rows.value))
    return settings["exact"] * share
