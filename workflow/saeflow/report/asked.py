"""What models were asked and SAEs were probed on, as tables: prompt sets and labelled texts."""

from __future__ import annotations

from saeflow.labelled.labelled import SPLITS
from saeflow.report.words import Entries, Section, but, listed, number, source


def prompts(settings: Entries, there: Entries) -> Section:
    """Return the table of prompt sets."""
    rows = []
    for name, own in settings.items():
        ((_, facts),) = there[name]
        left = but(own, "rule", "hub", "revision", "path_sha256", "format", "generate", "n_prompts")
        among = sorted((facts.get("n_candidates") or {}).values())
        rows.append(
            [
                name, source(own), str(facts.get("kind", "")).replace("_", " "),
                number(facts.get("n_prompts")), " to ".join(dict.fromkeys(map(number, among))),
                number(facts.get("chance")), number(facts.get("window")),
                listed(but(left, "from_dataset", "window")),
            ]
        )  # fmt: skip
    columns = ("prompts", "source", "kind", "number", "candidates", "chance", "window", "settings")
    note = "Window: the last tokens of a prompt, among which a latent counts as active."
    return Section("Prompt sets", columns, rows, note)


def labelled(settings: Entries, there: Entries) -> Section:
    """Return the table of labelled texts."""
    rows = []
    for name, own in settings.items():
        ((_, facts),) = there[name]
        counts = facts.get("datasets", {}).values()
        copies = {key: sum(one[key] for one in counts) for key in _COPIES} if counts else {}
        hashes = [key for key in own if key.endswith("_sha256")]
        left = but(own, "rule", "name", "hub", "revision", "generate", "world", *hashes)
        rows.append(
            [
                name, source(own), number(len(counts) or None), number(facts.get("n_tasks")),
                number(len(facts.get("left_out", {})) or None),
                " / ".join(number(facts[f"n_{split}"]) for split in SPLITS) if counts else "",
                " / ".join(map(number, copies.values())), listed(left),
            ]
        )  # fmt: skip
    columns = (
        *("labelled texts", "source", "datasets", "tasks", "tasks left out"),
        *(f"texts ({' / '.join(SPLITS)})", f"copies ({' / '.join(_COPIES.values())})", "settings"),
    )
    note = (
        "Shift: a second distribution with the same label. Copies: texts that stand in their split"
        " before; training texts that are test texts; texts of shift that are training texts."
    )
    return Section("Labelled texts", columns, rows, note)


_COPIES = {"n_repeated": "in the split", "n_shared": "in test", "n_shared_shift": "in training"}
