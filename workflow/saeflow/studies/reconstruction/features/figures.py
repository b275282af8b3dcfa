"""The figures of features, in the order of the report, with their captions."""

from __future__ import annotations

from saeflow.studies.study import Figure

_HERE = "saeflow.studies.reconstruction.features"

FIGURES = {
    "feature_hist": Figure(
        "feature_scores", "Features by what happens where they are active",
        draw=f"{_HERE}.histograms:histograms",
        caption="""
        How many features go with which change. *Mean change:* ln p of the answer with the SAE minus
        without, averaged over the prompts at whose end a feature is active; features that are never
        active have none. *Score:* the number of prompts where the feature is active and ln p did
        not fall, minus that where it fell; features that are never active score 0. Counts are on a
        logarithmic axis, a colour per layer, as in the post. A feature is credited with everything
        that the SAE does to the prompts on which it is active: where an SAE costs as much
        everywhere, every feature lies at the same mean change, and the score is how often it is
        active. These are correlations; the figures of ablations ask for causes.
        """,
    ),
    "cause_and_correlation": Figure(
        "feature_effects", "What features do, against what they go with",
        draw=f"{_HERE}.drawing:effects_against",
        options={
            "x": "mean_delta", "label": "Mean change where active (nats)", "rho": "rho_mean_delta"
        },
        caption="""
        Each point is a feature that was ablated: taken out everywhere in a prompt, out of the
        reconstruction (x̂, where the SAE's other errors stay) or out of the activations themselves
        (x, where everything else is the untouched model's). Upright is what the feature adds to ln
        p of the answer, with it minus without, mean over prompts on which it is active, with a 95 %
        interval over these; across, the mean change by the whole SAE on prompts where it is active.
        If scores told causes, points would rise from the lower left through the origin. ρ is
        Spearman's over the points of a panel. These were chosen: the worst and the best by the
        summed change, the most often active, and random ones, so that ρ is not that of all features
        (the table has the random ones apart). A feature that is several of these has the colour of
        the first.
        """,
    ),
    "effects_by_layer": Figure(
        "feature_agreement", "What goes with the effects of features, by layer",
        draw=f"{_HERE}.drawing:agreement", select=f"{_HERE}.drawing:among_chosen",
        caption="""
        Spearman's ρ, over the features that were ablated, between what a feature adds to ln p of
        the answer and what else is known of it; below, the same with the effect's absolute size.
        *Mean change* and *summed change* are the correlations of the post; *frequency* is the share
        of prompts at whose end a feature is active, *strength* its mean activation there. *Token
        purity* (the share of a feature's activation that lies on a single token) and *logit
        kurtosis* (how much its direction speaks for few tokens) are cheap proxies of
        interpretability and no measurement of it. Bars are 95 % intervals by Fisher's
        transformation, which takes features as independent: they share prompts, so that true ones
        are wider. The summed change was what worst and best were chosen by.
        """,
    ),
    "ablated_sets": Figure(
        "ablated_sets", "Ablating the worst, the best, the most frequent and random features",
        draw=f"{_HERE}.drawing:curves_of_sets",
        caption="""
        What changes when the first 1, 2, 4, ... features of a kind are ablated at once, out of the
        reconstruction (x̂) or out of the activations (x): ln p of the answer, and below the share of
        right answers, mean over the same prompts for all sets, with 95 % intervals over these.
        Above zero the model answers better without them. If the features with the worst scores were
        to blame, their curve would rise. All are held against random ones, but worst and frequent
        features are active far more often than these, so that they take more with them for that
        alone: compare the worst with the most frequent.
        """,
    ),
    "purity_and_effect": Figure(
        "feature_effects", "A proxy of interpretability against what features do",
        draw=f"{_HERE}.drawing:effects_against", select=f"{_HERE}.drawing:seen_enough",
        options={"x": "token_purity", "label": "Token purity", "rho": "rho_token_purity"},
        caption="""
        The same features: what each adds to ln p of the answer against its token purity, the share
        of its summed activation that lies on the one token where that is largest, on the prompts
        that were run. At 1 a feature is about one token; features of a meaning that many words have
        are interpretable and not pure. So this is a proxy, cheap and honest about single tokens
        alone. Features that were active on fewer than 20 tokens are left out: few tokens are pure
        by chance.
        """,
    ),
    "feature_words": Figure(
        "features", "The worst and the best features in words",
        draw=f"{_HERE}.concordance:concordance",
        caption="""
        The features with the worst and the best summed change of ln p at each hook. *Prompts:* on
        how many it is active at their end; *mean:* mean change of ln p there (nats, a correlation);
        *effect:* what the feature itself adds to ln p, by ablating it from the reconstruction.
        Then the end of the text, up to the token (bold), where it is most active at the end of any
        prompt, and the tokens whose logits its direction raises most: linearised about the mean
        last residual stream, through the final norm and the unembedding, without what later blocks
        make of it, so that in early layers it says little. The table ``features`` has more of each,
        what the direction lowers, the answers, and addresses on Neuronpedia where the SAE is known
        to be there.
        """,
    ),
}  # fmt: skip
