"""Runs inside the peers' environment: loads, makes and computes SAEs with the peers' own code.

Reads one JSON object per line and answers with one: ``{"ok": true}`` or ``{"error": "..."}``.
Tensors go through safetensors files. Nothing of saeflow is imported here.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def randomise(module, seed, names=None):
    """Give every parameter a value far from zero, as folds must get every term right."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if names is not None and name not in names:
                continue
            noise = torch.randn(p.shape, generator=g)
            p.copy_(noise * 0.3 if p.ndim == 1 else noise / p.shape[-1] ** 0.5)
            if name.endswith("threshold"):
                p.abs_()


# -- SAELens --------------------------------------------------------------------------------------


def saelens_load(path, fold=False, **_):
    from sae_lens import SAE

    return SAE.load_from_disk(path, fold_W_dec_norm=fold)


def saelens_make(path, *, architecture, d_in, d_sae, how, options, seed):
    """Save with ``how``: "save_model" of an inference or training class, or for inference."""
    from sae_lens.registry import get_sae_class, get_sae_training_class

    find = get_sae_class if how == "inference" else get_sae_training_class
    sae_class, cfg_class = find(architecture)
    sae = sae_class(cfg_class(d_in=d_in, d_sae=d_sae, **options))
    randomise(sae, seed)
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold.fill_(0.7)
    if how == "exported":
        sae.save_inference_model(path)
        return saelens_load(path)
    sae.save_model(path)
    return sae


def saelens_legacy(path, *, d_in, d_sae, seed, cfg):
    """Write a directory as before version 6 and read it with SAELens' own converter."""
    from sae_lens import StandardSAE, StandardSAEConfig

    sae = StandardSAE(StandardSAEConfig(d_in=d_in, d_sae=d_sae))
    randomise(sae, seed)
    sae.save_model(path)
    (Path(path) / "cfg.json").write_text(json.dumps({"d_in": d_in, "d_sae": d_sae, **cfg}))
    return saelens_load(path)


def saelens_released(path, *, loader, folder, scale=None):
    """Read files as SAELens reads those of a published suite, from a directory for the hub."""
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def fetched(repo_id, filename, subfolder="", **_):
        return str(Path(path) / subfolder / filename)

    def shapes(repo_id, filename):
        return {name: list(w.shape) for name, w in load_file(Path(path) / filename).items()}

    loaders.hf_hub_download, loaders.get_safetensors_tensor_shapes = fetched, shapes
    read = getattr(loaders, f"{loader}_sae_huggingface_loader")
    # as its `from_pretrained` does, whose list of suites has the scale
    cfg, state, _ = read("org/suite", folder, "cpu", False, {"dtype": "float32"})
    sae = SAE.from_dict(loaders.handle_config_defaulting(cfg))
    sae.process_state_dict_for_loading(state)
    sae.load_state_dict(state)
    if scale is not None:
        sae.fold_activation_norm_scaling_factor(scale)
    return sae


def snippet(path, *, code):
    """Run code of the documentation, which loads an SAE from ``path`` and encodes ``x``."""
    scope = {"x": torch.zeros(2, 64)}
    exec(code, scope)
    assert scope["latents"].shape[0] == 2, path
    return scope["sae"]


# -- dictionary_learning ---------------------------------------------------------------------------


def dictionary_learning_load(path, **_):
    from dictionary_learning.utils import load_dictionary

    return load_dictionary(path, device="cpu")[0]


def dictionary_learning_make(path, *, kind, d_in, d_sae, k, seed):
    from dictionary_learning import utils

    options = {}
    if "TopK" in kind:
        options["k"] = k
    if kind.startswith("Matryoshka"):
        options["group_sizes"] = [d_sae // 4, d_sae - d_sae // 4]
    dictionary = getattr(utils, kind)(d_in, d_sae, **options)
    randomise(dictionary, seed)
    if hasattr(dictionary, "threshold") and dictionary.threshold.ndim == 0:
        dictionary.threshold.fill_(0.6)
    trainer = {"dict_class": kind, "activation_dim": d_in, "dict_size": d_sae, "k": k,
               "layer": 2, "lm_name": "toy", "submodule_name": "resid_post_layer_2"}  # fmt: skip
    torch.save(dictionary.state_dict(), Path(path) / "ae.pt")
    config = {"trainer": trainer, "buffer": {"ctx_len": 64}}
    (Path(path) / "config.json").write_text(json.dumps(config))
    return dictionary_learning_load(path)


# -- sparsify -------------------------------------------------------------------------------------


class Sparse:
    """sparsify's coder with dense latents."""

    def __init__(self, coder):
        self.coder = coder

    def encode(self, x):
        values, index, _ = self.coder.encode(x)
        return torch.zeros(len(x), self.coder.num_latents).scatter_(1, index, values)

    def decode(self, latents):
        values, index = latents.topk(self.coder.cfg.k)
        return self.coder.decode(values, index)


def sparsify_load(path, **_):
    from sparsify import SparseCoder

    return Sparse(SparseCoder.load_from_disk(path))


def sparsify_make(path, *, d_in, d_sae, options, seed):
    from sparsify import SparseCoder, SparseCoderConfig

    coder = SparseCoder(d_in, SparseCoderConfig(num_latents=d_sae, **options))
    randomise(coder, seed)
    coder.save_to_disk(path)
    return sparsify_load(path)


# -- training -------------------------------------------------------------------------------------


def batches(x, steps, size, seed):
    """Yield batches of rows in random order, each row once per pass."""
    g, order = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(len(x), generator=g)
        yield x[order[:size]]
        order = order[size:]


def train_saelens(x, *, k, d_sae, steps, size, lr, seed):
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(seed)
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=x.shape[1], d_sae=d_sae, k=k))
    cfg = SAETrainerConfig(total_training_samples=steps * size, train_batch_size_samples=size,
                           lr=lr, lr_end=0.0, lr_decay_steps=steps // 5)  # fmt: skip
    SAETrainer(cfg, sae, data_provider=batches(x, steps, size, seed)).fit()
    return sae


def train_dictionary_learning(x, *, k, d_sae, steps, size, lr, seed):
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(steps=steps, activation_dim=x.shape[1], dict_size=d_sae, k=k, layer=0,
                          lm_name="toy", lr=lr, warmup_steps=steps // 20,
                          decay_start=steps * 4 // 5, seed=seed, device="cpu")  # fmt: skip
    for step, batch in enumerate(batches(x, steps, size, seed)):
        trainer.update(step, batch)
    return trainer.ae


def train_sparsify(x, *, k, d_sae, steps, size, lr, seed):
    """Do what sparsify's trainer does at one hook; its own loop needs a language model."""
    from sparsify import SparseCoder, SparseCoderConfig

    torch.manual_seed(seed)
    coder = SparseCoder(x.shape[1], SparseCoderConfig(num_latents=d_sae, k=k))
    coder.b_dec.data = x[:size].mean(0)
    optimizer = torch.optim.Adam(coder.parameters(), lr=lr)
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 5 * (steps - step) / steps)
    )
    for batch in batches(x, steps, size, seed):
        coder.set_decoder_norm_to_unit_norm()
        optimizer.zero_grad()
        coder(batch).fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        decay.step()
    coder.set_decoder_norm_to_unit_norm()
    return Sparse(coder)


def trained(path, *, peer, train, **options):
    x = load_file(train)["x"]
    return globals()[f"train_{peer}"](x, **options)


# -- sae-probes -----------------------------------------------------------------------------------


def probes_sets(path, *, dataset, sizes, seed):
    """Write a dataset's texts and labels, and which of them are trained and tested on."""
    from sae_probes import utils_data

    labels = utils_data.get_yvals(dataset)
    n, sets = len(labels), {}
    for size in (min(n - 100, 1024), *sizes):
        parts = utils_data.get_train_test_indices(labels, size, n - size - 1, 0.5, seed)
        sets[size] = [part.tolist() for part in parts]
    texts = utils_data.read_numbered_dataset_df(dataset)["prompt"].tolist()
    found = {"texts": texts, "labels": labels.tolist(), "sets": sets}
    (Path(path) / "sets.json").write_text(json.dumps(found))


def probes_run(path, *, sae, model, hook, dataset, ks, sizes, seed):
    """Run its probes of an SAE and of states, which are where it keeps them; write what it found.

    Its logistic regressions read states; its own grid of sizes has others than ours.
    """
    from importlib import import_module  # some modules have the names of their functions

    places = {"results_path": path, "model_cache_path": path, "datasets": [dataset]}
    of = {"model_name": model, "hook_name": hook, "device": "cpu", "seed": seed, **places}
    evals, baselines = (
        import_module(f"sae_probes.run_{one}") for one in ("sae_evals", "baselines")
    )
    evals.TRAIN_SIZES = sizes
    baselines.get_training_sizes = lambda: sizes
    for setting in ("normal", "scarcity"):
        baselines.run_baseline_evals(setting=setting, **of)
        evals.run_sae_evals(saelens_load(sae), reg_type="l2", setting=setting, ks=ks, **of)


def answer(do, path, rows, out, **options):
    """Load or make an SAE and write what it computes."""
    Path(path).mkdir(parents=True, exist_ok=True)
    sae = globals()[do](path, **options)
    if out is None:
        return
    with torch.no_grad():
        x = load_file(rows)["x"]
        latents = sae.encode(x)
        # a frame that a peer keeps between encode and decode is used up by this call
        x_hat = sae.decode(latents)
    save_file({"latents": latents.contiguous(), "x_hat": x_hat.contiguous()}, out)


def main():
    # what the peers print must not get among the answers
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            answer(**json.loads(line))
            reply = {"ok": True}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
