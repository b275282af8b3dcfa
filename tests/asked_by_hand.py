"""What a model answers to a prompt, computed the slow and obvious way: one sequence at a time."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import torch

from saeflow.models.hooks import Hook, capture, replace


def log_p(model, ids, special=None, hook=None, change=None):
    """Return ln p (n, vocab_size) float64 after each of some ids (n,), with a hook changed."""
    ids = torch.as_tensor(np.asarray(ids, dtype=np.int64))[None]
    if hook is None:
        return model(ids).logits[0].double().log_softmax(-1)
    kept = torch.zeros(ids.shape[1], dtype=torch.bool)
    kept[: len(special)] = torch.as_tensor(special)

    def patch(x):
        return torch.where(kept[None, :, None], x, change(x[0])[None])

    with replace(model, Hook.parse(hook), patch):
        return model(ids).logits[0].double().log_softmax(-1)


def losses(model, tokens, hook, change):
    """Return loss, clean loss, KL and document of each scored token of `Sequences`.

    ``change`` gets the number of a sequence and its activations (n, d).
    """
    found = []
    for number, (start, end) in enumerate(pairwise(tokens.offsets)):
        ids, special = tokens.token_ids[start:end], tokens.special[start:end]
        clean = log_p(model, ids)
        changed = log_p(model, ids, special, hook, partial(change, number))
        before = np.flatnonzero(~special[1:])
        ce = [-one[before, ids[before + 1]] for one in (changed, clean)]
        kl = (clean.exp() * (clean - changed)).sum(1)[before]
        found.append([*(one.numpy() for one in (*ce, kl)), tokens.documents[start + 1 + before]])
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def activations(model, ids, hook):
    """Return the activations (n, d) float64 at a hook."""
    hook = Hook.parse(hook)
    with capture(model, [hook]) as found:
        model(torch.as_tensor(ids)[None])
    return found[hook][0].double()


def answers(model, question, hook=None, change=None):
    """Return the sums of one prompt that end in _clean or _sae, without the ending."""

    def run(tokens):
        ids = [*question.ids, *tokens[:-1]]
        return log_p(model, ids, question.special, hook, change)

    def score(tokens):
        found = run(tokens)
        return sum(found[len(question.ids) - 1 + i, t].item() for i, t in enumerate(tokens))

    n, answer = len(question.ids), list(question.answer)
    after, prompt = run(answer), log_p(model, question.ids, question.special, hook, change)
    first = prompt[-1]
    wanted = [t for t in range(1, n) if not question.special[t] and not question.special[t - 1]]
    found = {
        "log_p": score(answer),
        "log_p_first": first[answer[0]].item(),
        "right": float(all(after[n - 1 + i].argmax() == t for i, t in enumerate(answer))),
        "right_first": float(first.argmax() == answer[0]),
        "ce": sum(-prompt[t - 1, question.ids[t]].item() for t in wanted),
        "logit_diff": 0.0,
        "right_choice": 0.0,
    }
    if question.distractor >= 0:
        found["logit_diff"] = (first[answer[0]] - first[question.distractor]).item()
    if question.candidates:
        scores = [score([*one, *question.after]) for one in question.candidates]
        best = question.candidates[int(np.argmax(scores))]
        found["right_choice"] = float(best == question.answer)
    return found | {"preferred": float(found["logit_diff"] > 0)}, first
