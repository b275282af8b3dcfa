"""Crosscoders: one dictionary over several hooks, against plain forms and a known truth."""

from __future__ import annotations

import csv

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from measured import measure
from sae_reference import assert_step, random_weights, run_step
from sae_stores import ORIGIN, SEQUENCE, content, place, stopped, task_of
from sae_top_k import aux, of_batch, pre_of, prepared
from saeflow.activations.loader import Loader
from saeflow.activations.reader import open_store
from saeflow.errors import ConfigError, ModelError, StoreError
from saeflow.measures.codes import open_codes
from saeflow.sae.architectures import batchtopk, relu
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.save import header_of
from saeflow.sae.training.joined import Joined
from saeflow.sae.training.rows import require_pair
from saeflow.sae.training.sweep import loader_of, train_sweep
from saeflow.sae.training.train import recipe_of
from saeflow.work import hold
from tiny_stores import make_store, raise_failure

WIDTHS = (12, 6)
N_SHARED, N_OWN = 6, 3  # true directions of both hooks, and of each alone
N = 302 * SEQUENCE
LENGTHS = {"train": [SEQUENCE] * 300, "validation": [], "test": [SEQUENCE] * 2}
COMMON = {"joined": ["mlp_out.0"], "scale_input": "mean_norm", "expansion": 2, "batch_size": 256,
          "learning_rate": 0.01, "log_tokens": 2048, "epochs": 8, "seed": 3}  # fmt: skip
RELU = {"architecture": "relu", "error": "sum", "norm_weighted": True, "l1": 0.3, **COMMON}
BATCHTOPK = {"architecture": "batchtopk", "k": 2, **COMMON}
RECIPES = {
    "relu": RELU,
    "batchtopk": BATCHTOPK,
    "half": {**BATCHTOPK, "part": "2/2", "scale_input": "unit"},
    "wished": {**RELU, "l1": None, "target_l0": 4, "epochs": 2},
}

shapes = st.tuples(st.integers(2, 9), st.integers(2, 12), st.integers(1, 20))


def sizes(W_dec, widths):
    """Return the sum of the norms of decoder rows at the hooks."""
    return sum(part.norm(dim=1) for part in W_dec.split(widths, 1))


@given(shape=shapes, seed=st.integers(0, 999), bias=st.floats(-3, 1), cut=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_relu_has_the_gradients_of_the_plain_loss(shape, seed, bias, cut):
    n, d_in, d_sae = shape
    widths = [1 + round(cut * (d_in - 2))]
    widths.append(d_in - widths[0])
    weights = random_weights(d_in, d_sae, seed=seed, dtype=torch.float64)
    weights["b_enc"] += bias
    x = torch.randn(n, d_in, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def loss(w):
        f = torch.relu(x @ w["W_enc"] + w["b_enc"])
        error = (f @ w["W_dec"] + w["b_dec"] - x).square().sum(1).mean()
        return error + 0.7 * (f * sizes(w["W_dec"], widths)).sum(1).mean()

    options = relu.Settings(l1=0.7, error="sum", norm_weighted=True, widths=widths)
    assert_step(loss, relu, weights, options, x, 1e-6)


def test_a_latent_without_a_decoder_at_one_hook_has_a_gradient_there():
    weights = random_weights(5, 8, seed=0, dtype=torch.float64)
    weights["W_dec"][:, :3] = 0
    x = torch.randn(20, 5, dtype=torch.float64)
    options = relu.Settings(l1=1.0, error="sum", norm_weighted=True, widths=[3, 2])
    _, gradients = run_step(relu, weights, options, x)
    assert bool(gradients["W_dec"].isfinite().all()) and bool(gradients["W_dec"][:, :3].any())


@given(
    shape=shapes, seed=st.integers(0, 999), k=st.floats(0.2, 20), bias=st.floats(-2, 1),
    n_dead=st.integers(0, 20), cut=st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_batchtopk_compares_by_the_sum_of_norms(shape, seed, k, bias, n_dead, cut):
    n, d_in, d_sae = shape
    widths = [1 + round(cut * (d_in - 2))]
    widths.append(d_in - widths[0])
    weights, x = prepared(shape, seed, torch.float64, bias)
    options = batchtopk.Settings(k=min(k, d_sae), widths=widths, aux_coef=0.5)
    dead, n_wanted = torch.arange(d_sae) < n_dead, max(1, int(options.k * n))

    def loss(w):
        pre, size = pre_of(w, options, x), sizes(w["W_dec"], widths).detach()
        f = torch.relu(pre) * (of_batch(pre * size, n_wanted) > 0)
        x_hat = f @ w["W_dec"] + w["b_dec"]
        value = (x_hat - x).square().sum() / (x - x.mean(0)).square().sum()
        return value + aux(w, options, x, x_hat, dead)

    size = sizes(weights["W_dec"], widths)
    lowest = of_batch(pre_of(weights, options, x) * size, n_wanted)
    assert_step(loss, batchtopk, weights, options, x, 1e-6, dead=dead)
    if bool((lowest > 0).any()):  # the first batch alone decides it
        least = lowest[lowest > 0].min()
        torch.testing.assert_close(weights["threshold"] * size, least.expand(d_sae))


@pytest.fixture(scope="module")
def truth():
    """Directions (n_true, d) over both hooks, zero where a hook has none."""
    g = torch.Generator().manual_seed(3)
    parts = []
    for width, absent in zip(WIDTHS, (slice(-N_OWN, None), slice(N_SHARED, -N_OWN)), strict=True):
        rows = torch.randn(N_SHARED + 2 * N_OWN, width, generator=g)
        rows /= rows.norm(dim=1, keepdim=True)
        rows[absent] = 0
        parts.append(rows)
    return parts


@pytest.fixture(scope="module")
def data(truth):
    """Activations of both hooks: the second's are 50 times as large."""
    g = torch.Generator().manual_seed(4)
    active = torch.rand(N, len(truth[0]), generator=g) < 0.15
    strength = active * (0.5 + torch.rand(N, len(truth[0]), generator=g))
    noise = [0.01 * torch.randn(N, d, generator=g) for d in WIDTHS]
    return [strength @ truth[0] + noise[0], 50 * (strength @ truth[1] + noise[1]) + 3]


@pytest.fixture(scope="module")
def stores(tmp_path_factory, data):
    """Of two models: the second store has other widths, and other rows that lie together."""
    roots = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    return [
        make_store(root, x, LENGTHS, hook=hook, shard_rows=rows, **ORIGIN)
        for root, x, hook, rows in zip(
            roots, data, ("resid_post.0", "mlp_out.0"), (256, 1024), strict=True
        )
    ]


def train(jobs, stores, **options):
    tasks = [task_of(work, settings, activations=stores[0], joined_01=stores[1])
             for work, settings in jobs]  # fmt: skip
    train_sweep(tasks, **options)
    raise_failure(tasks)


@pytest.fixture(scope="module")
def together(tmp_path_factory, stores):
    root = tmp_path_factory.mktemp("together")
    works = {name: place(root, name) for name in RECIPES}
    train([(works[name], RECIPES[name]) for name in RECIPES], stores)
    return works


def test_the_hooks_are_read_at_the_same_tokens(stores, data):
    run = recipe_of(RELU)
    with open_store(stores[0]) as first, open_store(stores[1]) as second:
        assert first.activations.chunk_rows != second.activations.chunk_rows
        require_pair(first, second)
        opened = loader_of([first, second], "1/2", Joined)
        batches = opened(run, 1, None)
        given = torch.cat([batch.clone() for batch in batches])
        alone = Loader(first, "train", batch_size=run.batch_size, seed=0, part="1/2")
        assert torch.equal(given[:, :12], torch.cat([batch.clone() for batch in alone]))
    where = {tuple(row): i for i, row in enumerate(data[0].tolist())}
    rows = [where[tuple(row)] for row in given[:, :12].tolist()]
    assert torch.equal(given[:, 12:], data[1][rows]) and len(given) == 150 * (SEQUENCE - 1)


@pytest.mark.parametrize("name", ["relu", "batchtopk"])
def test_known_directions_are_found_at_the_hooks_that_have_them(name, together, truth):
    sae = load_sae(together[name].final)
    scales = [hook["scale"] for hook in sae.metadata["joined"]]
    found = [w * s for w, s in zip(sae.W_dec.split(WIDTHS, 1), scales, strict=True)]
    true = torch.cat([truth[0] * scales[0], 50 * truth[1] * scales[1]], 1)
    cosine = torch.nn.functional.cosine_similarity(torch.cat(found, 1)[:, None], true[None], dim=2)
    best, latent = cosine.max(0)
    assert float(best.min()) > 0.9, best
    size = [part[latent].norm(dim=1) for part in found]
    share = size[1] / (size[0] + size[1])
    expected = true[:, 12:].norm(dim=1) / (true[:, :12].norm(dim=1) + true[:, 12:].norm(dim=1))
    torch.testing.assert_close(share, expected, atol=0.15, rtol=0)
    assert (sae.d_in, sae.d_sae) == (18, 24)


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_record_says_which_columns_are_whose_and_what_they_were_scaled_by(
    name, together, data, tmp_path, stores
):
    facts = header_of(together[name].final)
    kept = (torch.arange(N) % SEQUENCE > 0) & (torch.arange(N) < 300 * SEQUENCE)
    kept &= torch.arange(N) >= (150 * SEQUENCE if name == "half" else 0)
    norms = [x[kept].double().norm(dim=1) for x in data]
    to = {"mean_norm": [3 / float(n.mean()) for n in norms],
          "unit": [float(n.square().mean()) ** -0.5 for n in norms]}  # fmt: skip
    hooks = [(one["hook"], one["model"], one["columns"]) for one in facts["joined"]]
    model = ORIGIN["model"]
    assert hooks == [("resid_post.0", model, [0, 12]), ("mlp_out.0", model, [12, 18])]
    scales = [one["scale"] for one in facts["joined"]]
    assert scales == pytest.approx(to[RECIPES[name]["scale_input"]])
    assert facts["architecture_settings"]["widths"] == [12, 6]


@pytest.mark.parametrize("name", ["relu", "batchtopk"])
def test_errors_are_logged_in_scaled_units(name, together, data):
    sae = load_sae(together[name].final)
    x = torch.cat(data, 1)[: 300 * SEQUENCE][torch.arange(300 * SEQUENCE) % SEQUENCE > 0]
    scale = torch.cat([torch.full((d,), one["scale"])
                       for d, one in zip(WIDTHS, sae.metadata["joined"], strict=True)])  # fmt: skip
    error = ((sae(x) - x) * scale).double().square().sum()
    variance = ((x - x.mean(0)) * scale).double().square().sum()
    rows = list(csv.DictReader((together[name].final / "log.csv").open()))
    if name == "relu":  # the threshold of the other one is not the selection of a batch
        assert float(error / variance) == pytest.approx(float(rows[-1]["fvu"]), rel=0.1)
    assert sae.encode_sparse(x).n_active / len(x) == pytest.approx(float(rows[-1]["l0"]), rel=0.1)


def test_a_wished_l0_is_found(together):
    facts = header_of(together["wished"].final)["training"]
    assert facts["final"]["l0"] == pytest.approx(4, rel=0.25) and facts["target_l0"]["l1"] > 0


@pytest.mark.parametrize("name", ["relu", "half"])
def test_one_that_was_killed_goes_on_to_the_same_bytes(name, together, stores, tmp_path):
    work = place(tmp_path, name)
    for at in (3, 20):
        with stopped(at):
            train([(work, RECIPES[name])], stores, checkpoint_s=0)
    train([(work, RECIPES[name])], stores)
    assert content(work) == content(together[name])


def test_hooks_of_other_tokens_are_refused(stores, tmp_path, data):
    lengths = {**LENGTHS, "train": [SEQUENCE] * 299}
    x = data[1][:-SEQUENCE]
    other = make_store(tmp_path / "other", x, lengths, hook="mlp_out.0", **ORIGIN)
    with pytest.raises(StoreError, match="do not pair up"):
        train([(place(tmp_path, "a"), RELU)], [stores[0], other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale_input": "none"}, "of one scale"),
        ({"target": "mlp_out"}, "target.*does not have this option"),
        ({"resample_tokens": 1000}, "resample_tokens.*does not have this option"),
        ({"norm_weighted": False}, "no crosscoders of this form"),
        ({"error": "mean"}, "no crosscoders of this form"),
        ({"joined": []}, "joined"),
        ({"joined": ["/mlp_out.0"]}, "no model before the hook"),
        ({"joined": ["small/mlp"]}, "joined"),
    ],
)
def test_what_no_crosscoder_has_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        recipe_of({**RELU, **change})


@pytest.mark.parametrize("architecture", ["topk", "matryoshka"])
def test_other_rules_are_refused(architecture):
    with pytest.raises(ConfigError, match="no crosscoders of this form"):
        recipe_of({"architecture": architecture, "k": 2, **COMMON})


def test_names_are_read_as_ours():
    recipe = recipe_of({**RELU, "joined": ["blocks.1.hook_mlp_out", "m@100/mlp_out.0"]})
    assert recipe.joined == ["mlp_out.1", "m@100/mlp_out.0"]


def test_its_latents_are_kept_as_it_reads_all_hooks_at_once(together, stores, data, tmp_path):
    sae = together["relu"].output
    with hold(sae, together["relu"].identity) as work:
        assert work.finished
    settings = {"tokens": 40, "least": 2, "duplicate": 0.99}
    hooks = {"activations": stores[0], "joined_01": stores[1]}
    task = measure("codes", tmp_path, {"one": sae}, settings, **hooks)["one"]
    codes, loaded = open_codes(task.output), load_sae(sae)
    first = 300 * SEQUENCE
    rows = first + torch.tensor([*range(1, SEQUENCE), *range(SEQUENCE + 1, SEQUENCE + 9)])
    assert codes.rows.tolist() == rows.tolist()
    x = torch.cat(data, 1)[rows]
    dense = torch.relu(x.double() @ loaded.W_enc.double() + loaded.b_enc.double())
    torch.testing.assert_close(
        torch.from_numpy(codes.matrix().toarray()), dense.float(), atol=1e-3, rtol=1e-3
    )
    scales = [one["scale"] for one in loaded.metadata["joined"]]
    scaled = [w * s for w, s in zip(loaded.W_dec.split(WIDTHS, 1), scales, strict=True)]
    assert codes.latents["norm"].tolist() == pytest.approx(
        torch.cat(scaled, 1).norm(dim=1).tolist()
    )


@pytest.mark.parametrize("hooks", [["activations"], ["activations", "joined_02", "joined_01"]])
def test_it_is_not_measured_at_other_hooks_than_its_own(hooks, together, stores, tmp_path):
    given = dict(zip(("activations", "joined_01", "joined_02"), [*stores, stores[0]], strict=True))
    settings = {"tokens": 40, "least": 2, "duplicate": 0.99}
    one = {"one": together["relu"].output}
    task = measure("codes", tmp_path, one, settings, **{name: given[name] for name in hooks})["one"]
    assert isinstance(task.error, ModelError) and "trained at other hooks" in str(task.error)
