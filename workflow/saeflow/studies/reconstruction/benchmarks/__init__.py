"""Benchmarks: what the model answers to prompts with reconstructions in the place of activations.

Read `TABLES` and `FIGURES`; `tables`, `figures` and `of_prompts` compute and draw them.
"""

from __future__ import annotations

from saeflow.sae.baselines import BASELINES
from saeflow.studies.study import Config, Figure, Table, has

_HERE = "saeflow.studies.reconstruction.benchmarks"
_READS = ("answers", "sae")
OUTCOMES = ("both", "baseline_only", "sae_only", "neither")
"""Who answers a prompt: the untouched model and that with the SAE, one of them, neither."""

_METRICS = (
    "accuracy", "accuracy_clean", "accuracy_first_token", "accuracy_first_token_clean",
    "accuracy_choice", "accuracy_choice_clean", "chance_of_choice",
    "delta_logp", "delta_logp_first_token", "answer_kl",
    "prompt_ce", "prompt_ce_clean", "delta_prompt_ce",
    "ioi_accuracy", "ioi_accuracy_clean", "logit_diff", "logit_diff_clean",
    "prompt_l0", "prompt_l1", "prompt_squared_error", "prompt_mse_saelens24", "prompt_norm",
)  # fmt: skip
_PUBLISHED = ("published_l0", "published_l1", "published_norm", "published_mse",
              "published_delta_ce")  # fmt: skip


has_prompts = has("prompts")


def has_points(config: Config, section: Config) -> bool:
    """Say whether an SAE that is no baseline is asked: figures of prompts show no others."""
    recipes = (config["saes"][name] for name in section["saes"])
    learned = any(recipe.get("architecture") not in BASELINES for recipe in recipes)
    return has_prompts(config, section) and learned


def has_candidates(config: Config, section: Config) -> bool:
    """Say whether a prompt set is known to be about choosing; what `form: auto` finds is not."""
    return any(
        entry.get("generate", "last_word") != "last_word"
        or entry.get("form") in ("cloze", "choice")
        for entry in _sets(config, section)
    )


def has_distractor(config: Config, section: Config) -> bool:
    """Say whether a prompt set is known to have a wrong answer to be told from the right one."""
    return any(
        entry.get("generate") in ("ioi", "indirect_object") or entry.get("distractor")
        for entry in _sets(config, section)
    )


def _sets(config: Config, section: Config) -> list[Config]:
    return [config["prompts"][name] for name in section["prompts"]]


def as_published(config: Config, section: Config) -> bool:
    """Say whether what was published of prompts is computed too."""
    return has_prompts(config, section) and config["measures"]["answers"]["published_mode"]


TABLES: dict[str, Table] = {
    "answers": Table(f"{_HERE}.tables:answers", _READS, _METRICS, resampled=True, when=has_prompts),
    "answers_as_published": Table(
        f"{_HERE}.tables:answers", _READS, _PUBLISHED, resampled=True, when=as_published
    ),
    "answer_classes": Table(f"{_HERE}.tables:classes", _READS, when=has_prompts),
    "answer_outcomes": Table(f"{_HERE}.tables:outcomes", _READS, when=has_points),
    "answer_examples": Table(f"{_HERE}.tables:examples", _READS, options={"n": 2}, when=has_points),
}

_BY_LAYER = f"{_HERE}.figures:by_layer"
_OF_PROMPTS = f"{_HERE}.of_prompts"
FIGURES: dict[str, Figure] = {
    "answers_by_layer": Figure(
        "answers",
        "What the model still answers",
        """
        Share of prompts whose whole answer, token by token, is the likeliest (*greedy*), and mean
        loss on the prompts' own tokens, with the reconstructions of one hook in the place of its
        activations on the prompt and on the answer. Dashed: the untouched model. Where that answers
        hardly any prompt there is little to lose, so read an accuracy by its distance from the
        dashed line, not from zero. Intervals are over prompts.
        """,
        _BY_LAYER,
        options={"levels": [["accuracy", "accuracy_clean"], ["prompt_ce", "prompt_ce_clean"]]},
        labels=("accuracy", "prompt_ce"),
        when=has_prompts,
    ),
    "choices_by_layer": Figure(
        "answers",
        "What the model still chooses among candidates",
        """
        Share of prompts whose answer has the highest log-probability, summed over its tokens, of
        all candidates, and mean change of the answer's log-probability. Dashed: the untouched
        model; dotted: a blind choice. The two can disagree: an answer that has become less likely
        is still chosen where the other candidates have lost as much.
        """,
        _BY_LAYER,
        select=f"{_HERE}.figures:with_candidates",
        options={
            "levels": [
                ["accuracy_choice", "accuracy_choice_clean", "chance_of_choice"],
                ["delta_logp"],
            ]
        },
        labels=("accuracy_choice", "delta_logp"),
        when=has_candidates,
    ),
    "indirect_objects": Figure(
        "answers",
        "Who gets it: the indirect object against the subject",
        """
        Mean logit of the answer over that of the distractor, share of prompts where it is above
        zero, and divergence of what is predicted after the prompt from the untouched model's. In
        sentences with two names the distractor is the one that occurs twice. Dashed: the untouched
        model. A small logit difference with a high share is a model that is right and unsure.
        """,
        _BY_LAYER,
        select=f"{_HERE}.figures:with_distractor",
        options={
            "levels": [
                ["logit_diff", "logit_diff_clean"],
                ["ioi_accuracy", "ioi_accuracy_clean"],
                ["answer_kl"],
            ]
        },
        labels=("logit_diff", "ioi_accuracy", "answer_kl"),
        when=has_distractor,
    ),
    "answer_classes": Figure(
        "answer_classes",
        "Who answers the prompts",
        """
        Shares of prompts that the model answers with and without the SAE, in one case only, or in
        none: by the whole answer, or among candidates where a set is about choosing. What an SAE
        seems to gain (*only with SAE*) is no sign of a better model: a change at random gains some
        of the prompts that were nearly right before.
        """,
        f"{_HERE}.figures:class_shares",
        when=has_prompts,
    ),
    "answer_outcomes": Figure(
        "answer_outcomes",
        "What goes with a lost answer",
        """
        Prompts of all layers by the loss that the SAE adds on the prompt's own tokens; left the
        squared error of the reconstruction over the last tokens of the prompt, divided by the width
        and by how far x is from its mean in the prompt (SAELens' loss of 2024),
        right the change of the answer's log-probability. Histograms are densities: each class has
        the same area, however many points are in it, if there are 20. Layers, recipes and seeds are
        no further prompts: the number of points is no precision.
        """,
        f"{_OF_PROMPTS}:outcomes_of_prompts",
        when=has_prompts,
    ),
    "answer_change_by_layer": Figure(
        "answer_outcomes",
        "Change of the answer's log-probability, prompt by prompt",
        """
        Left: a dot per prompt, the range as a bar and the median as a dash. Right: a line per
        prompt through the layers, in the colour of its value at the first one: where colours stay
        in order, a prompt that suffers at one layer suffers at all.
        Layers, recipes and seeds are no further prompts: the number of points is no precision.
        """,
        f"{_OF_PROMPTS}:prompts_by_layer",
        options={"value": "delta_logp"},
        when=has_prompts,
    ),
    "answer_norms_by_layer": Figure(
        "answer_outcomes",
        "Norm of the activations, prompt by prompt",
        """
        The same of the mean norm of the untouched model's activations over the last tokens of the
        prompt, without BOS, on a logarithmic axis. Nothing here depends on an SAE.
        """,
        f"{_OF_PROMPTS}:prompts_by_layer",
        options={"value": "norm", "log": True},
        when=has_prompts,
    ),
    "answer_statistics": Figure(
        "answer_outcomes",
        "Error, sparsity and answers against the norm",
        """
        Means over the last tokens of each prompt, and the change of its answer's log-probability,
        against the norm of its activations over that of the prompt with the smallest at this layer.
        Layers, recipes and seeds are no further prompts: the number of points is no precision.
        """,
        f"{_OF_PROMPTS}:statistics_and_norm",
        options={"values": ["mse_saelens24", "l0", "l1", "delta_logp"]},
        when=has_prompts,
    ),
}  # fmt: skip
