"""Prompts with SAEs in the model, held against one forward pass at a time."""

import numpy as np
import pytest
import torch

import asked_by_hand
from measured import formed
from saeflow.errors import ModelError
from saeflow.measures.answers import lines as lines_module
from saeflow.measures.answers.asking import Patch, ask
from saeflow.measures.answers.lines import Question
from saeflow.models.hooks import Hook
from tiny_models import make_model
from tiny_saes import Rescale, make_sae

D, VOCAB, BOS = 16, 61, 0
FAMILIES = ["gpt2", "gpt_neox", "llama"]
WINDOW = 4


SAE = make_sae(40, D, bias=-0.3)


def make_question(rng, n, answer, candidates=(), distractor=-1, after=(), bos=True):
    ids = rng.integers(3, VOCAB, n + bos)
    special = np.zeros(len(ids), dtype=bool)
    if bos:
        ids[0], special[0] = BOS, True
    return Question(ids, special, answer, candidates, distractor, after)


@pytest.fixture(scope="module")
def questions():
    """Prompts of several lengths: with and without candidates, some of several tokens."""
    rng = np.random.default_rng(0)
    ten = tuple((int(t),) for t in rng.choice(np.arange(3, VOCAB), 10, replace=False))
    return [
        make_question(rng, 9, (7, 11, 30)),
        make_question(rng, 5, ten[3], ten),
        make_question(rng, 12, (8,), ((8,), (9, 10), (11, 12, 13))),
        make_question(rng, 5, (20, 21), ((20, 21), (22,), (23, 24)), after=(5, 6)),
        make_question(rng, 7, (40,), ((40,), (41,)), distractor=41),
        make_question(rng, 1, (33,)),
    ]


def patch(sae, hook="resid_post.1", reads=None):
    return Patch(sae, Hook.parse(hook), Hook.parse(reads or hook), "an SAE")


def one(model, sae, questions, hook="resid_post.1", **options):
    (found,) = ask(model, [patch(sae, hook)], questions, window=WINDOW, **options)
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("hook", ["resid_pre.0", "resid_post.1", "mlp_out.2"])
def test_every_sum_is_that_of_one_forward_pass_at_a_time(family, hook, questions):
    model, sae = make_model(family), SAE
    found = one(model, sae, questions, hook).prompts
    assert found["document"].tolist() == list(range(len(questions)))
    for number, question in enumerate(questions):
        for ending, change in (("clean", None), ("sae", sae)):
            hand, first = asked_by_hand.answers(model, question, change and hook, change)
            own = {name: found[f"{name}_{ending}"][number] for name in hand}
            assert own == pytest.approx(hand, abs=2e-4), (number, ending)
            if ending == "clean":
                clean = first
        kl = (clean.exp() * (clean - first)).sum().item()
        assert found["kl"][number] == pytest.approx(kl, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_sae_that_gives_everything_back_changes_no_bit(family, questions):
    found = one(make_model(family), Rescale(1), questions)
    for name, values in found.prompts.items():
        if name.endswith("_sae"):
            np.testing.assert_array_equal(values, found.prompts[name[:-4] + "_clean"])
    assert (found.prompts["kl"] == 0).all() and (found.prompts["squared_error"] == 0).all()
    np.testing.assert_array_equal(found.top, found.top_clean)
    metrics = formed("answers", {name: v.sum() for name, v in found.prompts.items()})
    assert metrics["delta_logp"] == metrics["delta_prompt_ce"] == metrics["answer_kl"] == 0
    assert metrics["accuracy"] == metrics["accuracy_clean"]


def test_the_loss_on_a_prompt_is_hugging_faces_own(questions):
    """Of the text without padding; what BOS predicts is left out by a label of -100."""
    model = make_model("gpt2")
    found = one(model, Rescale(1), questions).prompts
    for number, question in enumerate(questions):
        if len(question.ids) < 3:
            assert found["ce_tokens"][number] == found["ce_clean"][number] == 0
            continue
        ids = torch.from_numpy(question.ids)[None]
        labels = ids.clone()
        labels[:, :2] = -100
        loss = model(ids, labels=labels).loss.item()
        n = found["ce_tokens"][number]
        assert n == len(question.ids) - 2
        assert found["ce_clean"][number] / n == pytest.approx(loss, abs=1e-5)


def test_without_a_bos_the_second_token_is_the_first_to_be_scored():
    rng = np.random.default_rng(5)
    question, model = make_question(rng, 6, (9,), bos=False), make_model("llama")
    found = one(model, SAE, [question]).prompts
    hand, _ = asked_by_hand.answers(model, question, "resid_post.1", SAE)
    assert found["ce_tokens"] == 5
    assert found["ce_sae"][0] == pytest.approx(hand["ce"], abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_neither_padding_nor_the_size_of_a_batch_changes_anything(family, questions, monkeypatch):
    model, patches = make_model(family), [patch(SAE), patch(Rescale(0.5), "resid_pre.2")]
    together = ask(model, patches, questions, window=WINDOW, published_mode=True)
    monkeypatch.setattr(lines_module, "BATCH_LINES", 1)
    for whole, alone in zip(
        together, ask(model, patches, questions, window=WINDOW, published_mode=True), strict=True
    ):
        for name, values in whole.prompts.items():
            np.testing.assert_allclose(alone.prompts[name], values, atol=1e-4, err_msg=name)
        for name, values in whole.features.items():
            np.testing.assert_allclose(alone.features[name], values, atol=1e-5)


def test_saes_of_several_hooks_together_give_what_each_gives_alone(questions):
    model = make_model("gpt_neox")
    patches = [
        patch(make_sae(40, seed=0, bias=-0.3), "resid_post.0"),
        patch(make_sae(40, seed=1, bias=-0.3), "mlp_out.1"),
        patch(make_sae(40, seed=2, bias=-0.3), "resid_post.0"),
        patch(make_sae(40, seed=3, bias=-0.3), "mlp_out.1", reads="resid_pre.1"),
    ]
    together = ask(model, patches, questions, window=WINDOW)
    for place, own in enumerate(patches):
        (alone,) = ask(model, [own], questions, window=WINDOW)
        for name, values in alone.prompts.items():
            np.testing.assert_array_equal(together[place].prompts[name], values)
        for name, values in alone.features.items():
            np.testing.assert_array_equal(together[place].features[name], values)


def test_what_a_prompt_is_asked_has_no_influence_on_the_others(questions):
    model = make_model("gpt2")
    whole = one(model, SAE, questions).prompts
    for number in (0, 3):
        alone = one(model, SAE, [questions[number]]).prompts
        for name in alone:
            if name != "document":
                assert alone[name][0] == pytest.approx(whole[name][number], abs=1e-4), name


# -- choices ---------------------------------------------------------------------------------------


def test_the_order_of_candidates_changes_nothing(questions):
    model, rng = make_model("gpt_neox"), np.random.default_rng(1)
    turned = [
        q._replace(candidates=tuple(q.candidates[i] for i in rng.permutation(len(q.candidates))))
        for q in questions
    ]
    first, other = one(model, SAE, questions), one(model, SAE, turned)
    for name, values in first.prompts.items():
        np.testing.assert_allclose(other.prompts[name], values, atol=1e-5, err_msg=name)


def test_ten_candidates_are_guessed_by_a_model_that_knows_nothing():
    """Chance is one in ten: 400 answers drawn at random, and a binomial error."""
    rng, n = np.random.default_rng(2), 400
    questions = []
    for _ in range(n):
        ten = tuple((int(t),) for t in rng.choice(np.arange(3, VOCAB), 10, replace=False))
        questions.append(make_question(rng, 4, ten[rng.integers(10)], ten))
    found = one(make_model("gpt2"), SAE, questions)
    metrics = formed("answers", {name: v.sum() for name, v in found.prompts.items()})
    error = (0.1 * 0.9 / n) ** 0.5
    assert metrics["chance_of_choice"] == pytest.approx(0.1)
    assert abs(metrics["accuracy_choice"] - 0.1) < 3 * error
    assert abs(metrics["accuracy_choice_clean"] - 0.1) < 3 * error
    assert metrics["accuracy"] < 0.1  # among all tokens, not the ten


def test_equally_likely_candidates_share_the_point():
    rng = np.random.default_rng(3)
    question = make_question(rng, 6, (9,), ((9,), (12,), (13,), (14,)))
    model = make_model("gpt2")
    model.transformer.ln_f.weight.data.zero_()  # every token has the same logit
    model.transformer.ln_f.bias.data.zero_()
    assert one(model, SAE, [question]).prompts["right_choice_sae"] == 0.25


def test_the_rest_of_the_sentence_is_summed_where_it_counts(questions):
    """Summed, not averaged: a candidate that is one token longer pays for it."""
    model = make_model("gpt2")
    question = questions[3]
    with_rest = one(model, SAE, [question]).prompts
    without = one(model, SAE, [question._replace(after=())]).prompts
    hand, _ = asked_by_hand.answers(model, question, "resid_post.1", SAE)
    assert with_rest["right_choice_sae"] == hand["right_choice"]
    # the answer itself is scored the same
    for name in ("log_p_sae", "right_sae", "right_first_sae"):
        assert with_rest[name] == pytest.approx(without[name], abs=1e-5)


# -- the ends of prompts ---------------------------------------------------------------------------


def test_the_ends_of_prompts_are_their_last_ordinary_tokens(questions):
    model, sae = make_model("llama"), SAE
    found = one(model, sae, questions)
    for number, question in enumerate(questions):
        x = asked_by_hand.activations(model, question.ids, "resid_post.1")
        x = x[~torch.from_numpy(question.special)][-WINDOW:]
        f = sae.encode(x.float()).double()
        error = (sae(x.float()).double() - x).square().sum(1)
        own = {name: values[number] for name, values in found.prompts.items()}
        assert own["window"] == len(x) == min(WINDOW, len(question.ids) - 1)
        hand = {
            "active": (f > 0).sum(), "activation": f.sum(), "squared_error": error.sum(),
            "norm": x.norm(dim=1).sum(),
        }  # fmt: skip
        if len(x) > 1:
            hand["mse"] = (error / x.shape[1] / (x - x.mean(0)).norm(dim=1)).sum()
        else:
            assert own["mse"] == own["mse_tokens"] == 0
        assert {name: own[name] for name in hand} == pytest.approx(
            {name: float(value) for name, value in hand.items()}, rel=1e-4
        )
        mine = found.features["prompt"] == number
        active = (f > 0).any(0).nonzero().squeeze(1)
        assert found.features["latent"][mine].tolist() == active.tolist()
        np.testing.assert_array_equal(found.features["n_active"][mine], (f > 0).sum(0)[active])
        np.testing.assert_allclose(found.features["max_activation"][mine], f.amax(0)[active], 1e-4)
        np.testing.assert_allclose(found.features["sum_activation"][mine], f.sum(0)[active], 1e-4)


def test_as_published_the_statistics_are_of_a_second_reconstruction():
    """By hand: five tokens with BOS; the last is in no mean, BOS in all but the loss."""
    model, sae = make_model("gpt2"), SAE
    question = make_question(np.random.default_rng(4), 4, (9,))
    found = one(model, sae, [question], published_mode=True).prompts
    x = asked_by_hand.activations(model, question.ids, "resid_post.1").float()
    once = sae(x)
    twice, f = sae(once), sae.encode(once)
    own, again = once[:4].double(), twice[:4].double()
    scale = D * (own - own.mean(0)).norm(dim=1)
    hand = {
        "published": 1,
        "published_active": (f[:4] > 0).sum(1).double().mean(),
        "published_activation": f[:4].sum(1).mean(),
        "published_norm": own.norm(dim=1).mean(),
        "published_mse": ((again - own).square().sum(1) / scale).mean(),
    }
    everywhere = np.zeros(5, dtype=bool)
    for name, value in (("once", once), ("twice", twice)):
        log_p = asked_by_hand.log_p(
            model, question.ids, everywhere, "resid_post.1", lambda _, value=value: value
        )
        losses = [-log_p[t - 1, question.ids[t]] for t in (2, 3)]
        hand[f"published_ce_{name}"] = sum(losses) / 2
    got = {name: found[name][0] for name in hand}
    assert got == pytest.approx({name: float(v) for name, v in hand.items()}, rel=1e-4)
    plain = one(model, sae, [question]).prompts
    assert all((plain[name] == 0).all() for name in hand)


def test_a_prompt_too_short_for_published_means_has_none():
    question = make_question(np.random.default_rng(4), 2, (9,))
    found = one(make_model("gpt2"), SAE, [question], published_mode=True).prompts
    assert found["published"] == found["published_norm"] == 0


# -- failures --------------------------------------------------------------------------------------


def test_predictions_that_are_no_numbers_are_an_error_of_one_sae(questions):
    class Broken(Rescale):
        """Gives NaN for the longest prompt."""

        def decode(self, codes):
            x = self.x.clone()
            x[0] = np.nan
            return x

    model = make_model("gpt2")
    patches = [patch(Broken(1))._replace(name="saes/broken.json"), patch(SAE)]
    bad, good = ask(model, patches, questions, window=WINDOW)
    (alone,) = ask(model, patches[1:], questions, window=WINDOW)
    assert isinstance(bad, ModelError)
    assert "saes/broken.json > resid_post.1 > prompt" in str(bad)
    np.testing.assert_array_equal(good.prompts["log_p_sae"], alone.prompts["log_p_sae"])
