"""What a model answers to prompts with an SAE in it: formulas from sums over prompts.

A prompt counts once. Sums end in ``_clean`` (the untouched model) or ``_sae``: ``right`` (the
answer is what greedy decoding gives) and ``right_first`` (its first token), ``log_p`` and
``log_p_first`` in nats; of ``choices`` (prompts with candidates) ``right_choice`` and ``chance``;
of ``contrasts`` (prompts with a distractor whose first token is not the answer's) ``logit_diff``
and ``preferred``; ``ce`` over the ``ce_tokens`` of the prompts. Over the ``window`` tokens at the
ends of prompts: ``active``, ``activation``, ``squared_error``, ``norm``, and ``mse`` of the
``mse_tokens`` among them. What is ``published_`` is a mean per prompt.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure, Metric, difference, ratio

_POST = "Anders and Bloom 2024, Examining language model performance with reconstructed activations"
_LAMBADA = "Paperno et al. 2016, The LAMBADA dataset; scored as by lm-evaluation-harness"
_CBT = "Hill et al. 2016, The Goldilocks principle"
_IOI = "Wang et al. 2022, Interpretability in the wild"
_SAELENS = "SAELens, training loss of 2024"
_NATS = "nats"


accuracy = ratio("right_sae", "prompts")
accuracy_clean = ratio("right_clean", "prompts")
accuracy_first_token = ratio("right_first_sae", "prompts")
accuracy_first_token_clean = ratio("right_first_clean", "prompts")
accuracy_choice = ratio("right_choice_sae", "choices")
accuracy_choice_clean = ratio("right_choice_clean", "choices")
chance_of_choice = ratio("chance", "choices")
delta_logp = difference("log_p_sae", "log_p_clean", "prompts")
delta_logp_first_token = difference("log_p_first_sae", "log_p_first_clean", "prompts")
prompt_ce = ratio("ce_sae", "ce_tokens")
prompt_ce_clean = ratio("ce_clean", "ce_tokens")
delta_prompt_ce = difference("ce_sae", "ce_clean", "ce_tokens")
answer_kl = ratio("kl", "prompts")
logit_diff = ratio("logit_diff_sae", "contrasts")
logit_diff_clean = ratio("logit_diff_clean", "contrasts")
ioi_accuracy = ratio("preferred_sae", "contrasts")
ioi_accuracy_clean = ratio("preferred_clean", "contrasts")
prompt_l0 = ratio("active", "window")
prompt_l1 = ratio("activation", "window")
prompt_squared_error = ratio("squared_error", "window")
prompt_norm = ratio("norm", "window")
prompt_mse_saelens24 = ratio("mse", "mse_tokens")
published_l0 = ratio("published_active", "published")
published_l1 = ratio("published_activation", "published")
published_norm = ratio("published_norm", "published")
published_mse = ratio("published_mse", "published")
published_delta_ce = difference("published_ce_twice", "published_ce_once", "published")


_AT_ENDS = "at the last tokens of prompts"
_AS_PUBLISHED = "as published: all positions replaced, BOS in the mean, the last token not"

MEASURE = Measure(
    name="answers",
    text="What the model answers to the prompts of a set with an SAE in the place of a hook's"
    " activations, on the prompt and on the answer. Needs a prompt set.",
    compute="saeflow.measures.answers.measure:measure_answers",
    reads=("model", "tokenizer", "prompts"),
    together=True,
    metrics=(
        Metric(
            "accuracy", "Accuracy (whole answer)",
            "share of prompts whose answer is, token by token, the likeliest with x̂",
            accuracy, _LAMBADA, direction="higher",
        ),
        Metric(
            "accuracy_clean", "Clean accuracy (whole answer)", "the same with x", accuracy_clean,
            _LAMBADA, direction="higher",
        ),
        Metric(
            "accuracy_first_token", "Accuracy (first token)",
            "share of prompts whose answer's first token is the likeliest with x̂",
            accuracy_first_token, _POST, direction="higher",
        ),
        Metric(
            "accuracy_first_token_clean", "Clean accuracy (first token)", "the same with x",
            accuracy_first_token_clean, _POST, direction="higher",
        ),
        Metric(
            "accuracy_choice", "Accuracy (among candidates)",
            "share of prompts where ln p, summed over tokens, is highest for the answer, with x̂; a"
            " tie counts as a guess among the equals",
            accuracy_choice, _CBT, direction="higher",
        ),
        Metric(
            "accuracy_choice_clean", "Clean accuracy (among candidates)", "the same with x",
            accuracy_choice_clean, _CBT, direction="higher",
        ),
        Metric(
            "chance_of_choice", "Chance (among candidates)", "mean of 1 / number of candidates",
            chance_of_choice, _CBT,
        ),
        Metric(
            "delta_logp", "Change of ln p(answer)",
            "mean ln p(answer|x̂) − ln p(answer|x), summed over its tokens",
            delta_logp, _POST, _NATS, "higher",
        ),
        Metric(
            "delta_logp_first_token", "Change of ln p(first token)",
            "mean ln p(first token|x̂) − ln p(first token|x)", delta_logp_first_token, _POST, _NATS,
            "higher",
        ),
        Metric(
            "prompt_ce", "Loss on prompts",
            "mean cross-entropy with x̂ of the prompts' tokens; what BOS predicts does not count",
            prompt_ce, _POST, "nats/token", "lower",
        ),
        Metric(
            "prompt_ce_clean", "Clean loss on prompts", "the same with x", prompt_ce_clean, _POST,
            "nats/token", "lower",
        ),
        Metric(
            "delta_prompt_ce", "Added loss on prompts", "the difference of the two",
            delta_prompt_ce, _POST, "nats/token", "lower",
        ),
        Metric(
            "answer_kl", "KL divergence after the prompt",
            "mean KL(p(·|x) ‖ p(·|x̂)) of the token after the prompt", answer_kl, _IOI, _NATS,
            "lower",
        ),
        Metric(
            "logit_diff", "Logit difference",
            "mean logit of the answer's first token − that of the distractor's, with x̂",
            logit_diff, _IOI, _NATS, "higher",
        ),
        Metric(
            "logit_diff_clean", "Clean logit difference", "the same with x", logit_diff_clean, _IOI,
            _NATS, "higher",
        ),
        Metric(
            "ioi_accuracy", "Answer above distractor",
            "share of prompts with a logit difference above 0, with x̂", ioi_accuracy, _IOI,
            direction="higher",
        ),
        Metric(
            "ioi_accuracy_clean", "Clean: answer above distractor", "the same with x",
            ioi_accuracy_clean, _IOI, direction="higher",
        ),
        Metric("prompt_l0", "L0 at prompts", f"mean L0 {_AT_ENDS}", prompt_l0, _POST),
        Metric("prompt_l1", "L1 at prompts", f"mean L1 {_AT_ENDS}", prompt_l1, _POST),
        Metric(
            "prompt_squared_error", "Squared error at prompts", f"mean |x̂ − x|² {_AT_ENDS}",
            prompt_squared_error, _POST, direction="lower",
        ),
        Metric("prompt_norm", "Norm at prompts", f"mean |x| {_AT_ENDS}", prompt_norm, _POST),
        Metric(
            "prompt_mse_saelens24", "MSE of SAELens 2024 at prompts",
            f"mean |x̂ − x|² / (d_in |x − x̄|) {_AT_ENDS}, x̄ their mean in the prompt",
            prompt_mse_saelens24, _SAELENS, direction="lower",
        ),
        Metric("published_l0", "L0 of x̂", f"mean L0 of x̂, {_AS_PUBLISHED}", published_l0, _POST),
        Metric("published_l1", "L1 of x̂", f"mean L1 of x̂, {_AS_PUBLISHED}", published_l1, _POST),
        Metric(
            "published_norm", "Norm of x̂", f"mean |x̂|, {_AS_PUBLISHED}", published_norm, _POST
        ),
        Metric(
            "published_mse", "MSE of SAELens 2024 of x̂",
            f"that of x̂ reconstructed again, {_AS_PUBLISHED}", published_mse, _POST,
        ),
        Metric(
            "published_delta_ce", "Loss added by a second reconstruction",
            f"CE of x̂ reconstructed again − CE(x̂), {_AS_PUBLISHED}", published_delta_ce, _POST,
            "nats/token",
        ),
    ),
)  # fmt: skip
