"""The peers' environment and 1,000 rows of activations to compare on."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("SAEFLOW_PEERS", HERE.parents[1] / ".peers"))
D_SAE = 256


class Peer:
    """A process in the peers' environment."""

    def __init__(self, python: Path, directory: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment |= {"WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
        environment["SPARSIFY_DISABLE_TRITON"] = "1"  # it would look for a GPU
        self._process = subprocess.Popen(
            [str(python), str(HERE / "peer.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=(directory / "peer.log").open("w"), text=True, env=environment,
        )  # fmt: skip
        self._directory, self._count = directory, 0

    def ask(self, do: str, path: Path, rows: Path, **options) -> dict[str, torch.Tensor]:
        """Let the peer load or make an SAE at ``path``; return its "latents" and "x_hat"."""
        self._count += 1
        out = self._directory / f"answer-{self._count}.safetensors"
        self._request(do=do, path=str(path), rows=str(rows), out=str(out), **options)
        return load_file(out)

    def let(self, do: str, path: Path, **options) -> None:
        """Let the peer leave something of its own at ``path``."""
        self._request(do=do, path=str(path), rows=None, out=None, **options)

    def _request(self, **request) -> None:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer.get("ok"), answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)


@pytest.fixture(scope="session")
def peer(tmp_path_factory):
    """The peers; skips where they are not installed."""
    python = PEERS / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"no peers under {PEERS}; run python tests/interop/install.py")
    process = Peer(python, tmp_path_factory.mktemp("peer"))
    yield process
    process.close()


def residuals(real_data, file, n_documents):
    """Return (n, 64) rows of block 2 of stories260K, without each document's first token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(real_data / "stories260K")
    model = AutoModelForCausalLM.from_pretrained(real_data / "stories260K").eval()
    found = []
    model.model.layers[2].register_forward_hook(
        lambda _module, _inputs, out: found.append(out[0] if isinstance(out, tuple) else out)
    )
    lines = (real_data / "text" / file).read_text().splitlines()[:n_documents]
    with torch.no_grad():
        for line in lines:
            model(**tokenizer(json.loads(line)["text"][:800], return_tensors="pt"))
    return torch.cat([h.reshape(-1, h.shape[-1])[1:] for h in found]).float().contiguous()


@pytest.fixture(scope="session")
def rows(real_data, tmp_path_factory):
    """A file with "x" (1000, 64): the residual stream of a real model on real stories."""
    x = residuals(real_data, "tinystories_cased.jsonl", 10)[:1000].contiguous()
    assert x.shape == (1000, 64)
    path = tmp_path_factory.mktemp("rows") / "rows.safetensors"
    save_file({"x": x}, path)
    return path


def assert_same(theirs: dict[str, torch.Tensor], sae, rows: Path) -> None:
    """Compare latents and reconstructions of all rows, to 1e-5 of their largest entry."""
    x = load_file(rows)["x"]
    codes = sae.encode_sparse(x)
    pairs = (theirs["latents"], codes.dense()), (theirs["x_hat"], sae.decode(codes))
    for expected, found in pairs:
        worst = float((expected - found).abs().max())
        assert worst <= 1e-5 * float(expected.abs().max()), worst
    assert float(theirs["latents"].abs().max()) > 0
