"""The model card of an SAE that is published on the hub. Read `model_card`."""

from __future__ import annotations

from pathlib import Path

from saeflow.sae.model import SAE
from saeflow.sae.saved.describe import describe

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
