"""An SAE of ours, or any that can be read, in a form for others.

Read `export_sae`, and `model_card` for one that is published on the hub.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch

from saeflow.files import write_atomic
from saeflow.sae.model import SAE
from saeflow.sae.saved import evidence
from saeflow.sae.saved.describe import describe, place_of
from saeflow.sae.saved.foreign import export
from saeflow.sae.saved.load import directory_of, header_at
from saeflow.sae.saved.save import SPARSITY_NAME, save
from saeflow.work import bulk_of

_HEAD = """---
library_name: saelens
tags: [sparse-autoencoder, interpretability, saeflow]
---

# A sparse autoencoder{title}

Files: SAELens' directory, with a header of saeflow under `metadata.saeflow` in `cfg.json`.

```python
from sae_lens import SAE

sae = SAE.load_from_disk("this directory")
```

| | |
|---|---|
"""
_LATENTS = "on/*/*/reconstruction.json"


def export_sae(sae: SAE, source: Path, directory: Path, name: str) -> None:
    """Write an SAE, read from ``source``, in a format of others.

    ``source`` is its record, directory or file; ``name`` is a module of `saeflow.sae.formats` that
    writes, or "saelens": our own directory, with its evidence, and with the density of the latents
    as it was measured, where it was.

    Raises
    ------
    ModelError
        If the format cannot express the SAE.
    """
    if source.suffix == ".json":
        sae = replace(sae, metadata={**sae.metadata, **place_of(source)})
    if name != "saelens":
        export(sae, directory, name)
        return
    place = directory_of(source)
    ours = place.is_dir() and header_at(place) is not None
    save(sae, directory, evidence_of=place if ours else None)
    density = measured_density(source) if source.suffix == ".json" else None
    if density is not None:
        tensors = {"sparsity": evidence.log_sparsity(density)}
        write_atomic(directory / SPARSITY_NAME, safetensors.torch.save(tensors))


def measured_density(record: Path) -> torch.Tensor | None:
    """Return the latents' density (d_sae,) in the largest measure beside a record, if any."""
    import pandas as pd

    from saeflow.files import read_json

    found = sorted(record.parent.glob(_LATENTS), key=lambda file: -read_json(file)["n_tokens"])
    if not found:
        return None
    latents = pd.read_parquet(bulk_of(found[0]) / "latents.parquet").sort_values("latent")
    fired, n_tokens = latents["fired"].to_numpy("float64"), read_json(found[0])["n_tokens"]
    return torch.from_numpy(fired / n_tokens)


def model_card(sae: SAE, record: Path | None = None) -> str:
    """Return the text of README.md: what it is, what was measured, how to load it."""
    found = describe(sae, record)
    title = " of " + found.facts["model"] if "model" in found.facts else ""
    title += f" at {found.facts['hook']}" if "hook" in found.facts else ""
    lines = [f"| {name} | {value} |" for name, value in found.facts.items()]
    text = _HEAD.format(title=title) + "\n".join(lines) + "\n"
    if found.metrics:
        text += "\nMeasured:\n\n| on | metric | value |\n|---|---|---|\n"
        text += "\n".join(f"| {p} | {n} | {v:.4g} |" for (p, n), v in found.metrics.items()) + "\n"
    return text
