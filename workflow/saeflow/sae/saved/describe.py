"""What an SAE is, in a few lines: for the command line and for model cards. Read `describe`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saeflow.metrics.registry import MEASURES, metrics_of
from saeflow.sae.model import SAE

_CHUNK = 1024


class Description(NamedTuple):
    """What is known of an SAE.

    Texts by name, in the order to be shown, and the metrics that lie beside its record, by
    (dataset/packing, metric).
    """

    facts: dict[str, str]
    metrics: dict[tuple[str, str], float]


def describe(sae: SAE, record: Path | None = None) -> Description:
    """Return what an SAE says of itself, and what was measured of it.

    ``record`` is its ``sae.json``, beside which measures lie under ``on/``; None for one from
    elsewhere.
    """
    header = sae.metadata
    model = header.get("model") or {}
    training = header.get("training") or {}
    facts = {
        "architecture": sae.architecture,
        "d_in": str(sae.W_enc.shape[0]),
        "d_sae": str(sae.d_sae),
        **{name: _text(value) for name, value in sae.settings.plain().items()},
        "input_norm": sae.input_norm,
        "hook": header.get("hook") or header.get("foreign_hook"),
        **(place_of(record) if record is not None else {}),
        "model": model.get("name"),
        "model_weights": (model.get("weights_sha256") or "")[:16],
        "context_length": header.get("context_length"),
        "seed": header.get("seed"),
        "tokens": training.get("tokens"),
        "fine_tuned_by": header.get("method"),
        "read_as": header.get("format_read"),
        **_evidence(header.get("evidence") or {}),
    }
    shown = {name: _text(value) for name, value in facts.items() if value not in (None, "")}
    return Description(shown, {} if record is None else measured(record))


def place_of(record: Path) -> dict[str, str]:
    """Return the names of dataset and packing that the path of an SAE's record holds, if any."""
    parts = Path(record).resolve().parts
    if len(parts) < 8 or parts[-8] != "saes":
        return {}
    return {"dataset": parts[-6], "packing": parts[-5]}


def _evidence(facts: Mapping[str, Any]) -> dict[str, Any]:
    if not facts:
        return {}
    where = f"({facts['rows']}, {facts['n_rows']} rows)"
    return {name: f"{facts[name]:.4g} {where}" for name in ("l0", "fvu") if facts[name] is not None}


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def measured(record: Path) -> dict[tuple[str, str], float]:
    """Return the metrics of the measurements in ``on/{dataset}/{packing}/`` beside a record."""
    from saeflow.tables.runs import Key, Run, read_record

    found = {}
    for file in sorted(Path(record).parent.glob("on/*/*/*.json")):
        if file.stem in MEASURES:
            run = Run(Key(str(Path(record).parent)), {file.stem: read_record(file)})
            place = "/".join(file.parent.parts[-2:])
            for name, estimate in run.estimates(metrics_of(file.stem)).items():
                found[place, name] = float(estimate.value)
    return found


def best_cosines(rows: Tensor, others: Tensor) -> Tensor:
    """Return the largest cosine of each of the rows (n, d) with any of the others (m, d), (n,).

    Rows of norm 0 have cosine 0 with all. The mean of what is returned is the mean max cosine
    similarity (MCS) of the universality post.
    """
    a, b = (torch.nn.functional.normalize(w.detach().float(), dim=1) for w in (rows, others))
    return torch.cat([(part @ b.T).amax(1) for part in a.split(_CHUNK)])
