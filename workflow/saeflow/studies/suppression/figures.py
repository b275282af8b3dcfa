"""The figures of the suppression study, in the order of the report, with their captions."""

from __future__ import annotations

from saeflow.studies.study import Figure, bars, frontier
from saeflow.studies.suppression.conditions import FROZEN, has_penalty

_DRAWING = "saeflow.studies.suppression.drawing"
_FIGURES = "saeflow.figures"
_SORTED = f"{_FIGURES}.curves:sorted_latents"
_SCATTER = f"{_FIGURES}.scatter:scatter"
_TUNED_RECIPES = f"{_FIGURES}.places:of_tuned_recipes"
_DECODERS = f"{_DRAWING}:decoder_tuned"
_NO_CHANGE = (0.0, "no change")
_EFFECTS = ("mse_reduction", "perplexity_recovery")

FIGURES = {
    "l2_ratio_by_layer": bars(
        "l2_ratio", title="L2 ratio by layer", line=(1.0, "no suppression"), select=_TUNED_RECIPES,
        caption="""
        L2 ratio: the mean over tokens of the length of the reconstruction divided by the length of
        the activation. Values lie below the dashed line by as much as reconstructions are too
        short; a ratio of 1 says nothing about their direction, and missing features lower it too.
        Recipes that were not fine-tuned are in the figure of suppression by architecture.
        """,
    ),
    "l0_by_method": Figure(
        "l0", "L0 by method and layer", draw=f"{_FIGURES}.dots:dots_by_layer",
        select=_TUNED_RECIPES, options={"value": "l0"}, labels=("l0",),
        caption="""
        L0 on a logarithmic axis: how many latents are active on a token, on average. A line goes
        across each layer at the L0 of the original. The methods that fine-tune only what comes
        after the encoder cannot change it, so their dots must lie on the line; a method above it
        buys its smaller error with sparsity, and is to be compared in the frontiers. Recipes that
        were not fine-tuned are left out.
        """,
    ),
    "mse_reduction_by_method": bars(
        "mse_reduction", title="Fractional MSE reduction by method and layer", line=_NO_CHANGE,
        caption="""
        The share of the squared error of the original autoencoder that its fine-tuned version
        removes, (MSE of the original − MSE after) / MSE of the original. Both are measured on the
        same documents, and the interval resamples these in pairs. Below zero, fine-tuning made it
        worse on held-out text.
        """,
    ),
    "perplexity_recovery_by_method": bars(
        "perplexity_recovery", title="Fractional perplexity recovery by method and layer",
        line=_NO_CHANGE,
        caption="""
        Of the perplexity that replacing the hook's activations by the original autoencoder's
        reconstructions adds to the model's, the share that fine-tuning takes off: (perplexity with
        the original − after) / (perplexity with the original − of the model). Perplexities are
        formed from losses summed over the same documents, and the interval resamples these in
        pairs. Where the original adds little perplexity, the share of it is of no use: its interval
        is wide.
        """,
    ),
    "language_change_by_method": bars(
        "language_change", title="Change of the loss by method and layer", line=_NO_CHANGE,
        caption="""
        By how much fine-tuning changes the model's loss with the autoencoder's reconstructions in
        the hook's place: cross-entropy after − before, in nats per token. Below zero, the model
        predicts better than with the original autoencoder. Both are measured on the same documents,
        and the interval resamples these in pairs, so that it is much narrower than that of either
        loss. A method that lets more latents be
        active (see the figure of L0) pays for a smaller loss with sparsity; KL + MSE was fitted to
        this very loss of the model, the others to the squared error alone.
        """,
    ),
    "probe_change_by_method": bars(
        "probe_change", "probe_loss_change", title="Change of a probe's loss by method and layer",
        line=_NO_CHANGE,
        caption="""
        By how much fine-tuning changes the log loss of a linear probe on the autoencoder's
        reconstructions: after − before, in nats per token. Below zero, the probe reads better than
        from the original autoencoder. The probe says which of the most frequent tokens comes next;
        it was fitted once to the true activations of the hook, on the training split, and never to
        a reconstruction. So a shorter reconstruction shrinks its logits, and the loss grows
        although nothing is missing: this is the part that a longer one gives back. Only tokens that
        one of the frequent ones follows are counted. Both losses are of the same documents, and the
        interval resamples these in pairs. A smaller
        loss is no proof of a more faithful direction: the table has the change of the accuracy,
        which shrinking alone hardly moves, and the changes for probes that were fitted to the
        latents themselves, zero where the encoder is frozen; the table ``probes`` has what the same
        probe reads from the activations, and what frequencies alone give.
        """,
    ),
    "frequencies": Figure(
        "frequencies", "Sorted log10 frequency of latents", draw=_SORTED,
        options={"value": "log10_frequency", "rank": "rank_by_frequency",
                 "label": "log10 frequency", "border": "border_log10_frequency"},
        caption="""
        The latents of the original autoencoders sorted by how often they are active: log10 of the
        share of tokens. Colours go from the first layer, dark, to the last. Latents that never were
        do not appear, so a curve that ends early has dead ones. A dotted line in a layer's colour
        is the border to a class of nearly dead latents, found as the threshold of Otsu on the log
        frequencies where the two classes' means lie 1.5 decades apart; a layer without such a line
        has one class.
        """,
    ),
    "activation_sums": Figure(
        "frequencies", "Sorted sum of activations of latents", draw=_SORTED,
        options={"value": "activation_sum", "rank": "rank_by_sum", "label": "Sum of activations",
                 "log": True},
        caption="""
        The latents of the original autoencoders sorted by the sum of their activations over the
        evaluated tokens, on a logarithmic axis: how much each contributes in all. Latents that were
        never active do not appear.
        """,
    ),
    "scaling_of_latents": Figure(
        "latents", "Scaling of latents by frequency and strength", draw=_SCATTER,
        select=_DECODERS, options={"value": "scaling", "label": "Scaling", "factor": True},
        caption="""
        Each point is a live latent of an original autoencoder: how often it is active, and how
        strongly on average where it is. Its colour is the factor by which fine-tuning the decoder
        scaled it, the length of its decoder row after over before (in closed form where the study
        has it).
        """,
    ),
    "increase_of_latents": Figure(
        "latents", "Additive increase of latents by frequency and strength",
        draw=f"{_DRAWING}:increase_of_latents", select=_DECODERS,
        caption="""
        The same latents as in the figure of scalings. The colour is the additive increase, the mean
        activation where active, times the scaling, minus what it was; as a share of what the SAE's
        loss is predicted to have taken (c d / 2 for the loss of the post), where every SAE has a
        prediction. The theory of one feature says that it is 1 for all latents, whatever their
        strength and frequency.
        """,
    ),
    "rotation_of_latents": Figure(
        "latents", "Rotation of latents by frequency and strength", draw=_SCATTER,
        select=_DECODERS,
        options={"value": "rotation", "label": "Cosine of decoder rows", "end": 1.0},
        caption="""
        The same latents as in the figure of scalings. The colour is the cosine between a latent's
        decoder row before and after fine-tuning. Where a row
        has turned far, the length that it has now is that of another direction: its scaling is no
        longer the cure of suppression alone.
        """,
    ),
    "correlations": Figure(
        "correlations", "Correlations of scaling and increase with strength and frequency",
        draw=f"{_DRAWING}:correlations", select=f"{_DRAWING}:of_decoders",
        caption="""
        Pearson correlations, over the live latents of each autoencoder, of what fine-tuning its
        decoder did (the scaling, and the additive increase) with the logarithms of strength and
        frequency; by gradient steps, as in the post, and in closed form. Hollow points are partial
        correlations, with the other of the two held. Bars are 95 % intervals by Fisher's
        transformation, which takes latents as independent. Few latents can give r its sign: the
        closed form turns and lengthens the rarest latents of a strong penalty, those that are about
        to die, by factors that steps do not reach in as many tokens. Where panels of one
        autoencoder disagree, look at its latents in the figures of scaling and rotation, and at the
        rank correlations, which such latents do not decide, in the table (``kind`` is ``rank``).
        """,
    ),
    "scaling_and_theory": Figure(
        "latents", "Scaling of latents and the one-feature theory",
        draw=f"{_DRAWING}:scaling_and_theory", select=f"{_DRAWING}:with_prediction",
        when=has_penalty,
        caption="""
        Each point is a live latent whose decoder row was fine-tuned: its mean activation where
        active, before, in units of the predicted shift, and the factor by which it was scaled. The
        line is what the theory of a single feature gives without any fit: the loss takes a shift s
        from a latent (the penalty c of the post takes c d / 2 at width d, whatever the latent's
        strength), so that one left with a is scaled by (a + s) / a. The shift is that of each
        SAE's own loss, in the units of the activations, also where it was trained on scaled ones;
        SAEs whose loss predicts none (gated, JumpReLU, TopK) are not shown. Points below the line
        were suppressed less than predicted: features that interfere, or whose activations are
        noisy, follow another law.
        """,
    ),
    "shift_by_penalty": Figure(
        "shift", "Additive increase over the predicted shift",
        draw=f"{_DRAWING}:shift_by_penalty", select=f"{_DRAWING}:with_law",
        caption="""
        How much the mean activation of a live latent increases when the decoder is fine-tuned, as a
        share of what the SAE's loss is predicted to have taken (median and quartiles over latents).
        Below each name stands that prediction in the units of the activations: c d / 2 for the loss
        of the post, c / 2 where the error is a sum, over the factor by which activations were
        scaled in training, if they were; for decoder rows of free norm, or a penalty that is no
        longer L1, the median over latents. SAEs whose loss predicts no shift are in the table
        alone. Only methods that leave the encoder alone are shown, since elsewhere a latent is
        not its old self times a factor. If the theory of one feature were all, points would lie on
        the dashed line; equal shares at different penalties say that the shift is proportional to
        the penalty. Quartiles are of latents that differ, and no interval of the median.
        """,
    ),
    "theory": Figure(
        "theory", "The theory beside toys that were trained",
        draw="saeflow.studies.suppression.theory_figure:theory",
        caption="""
        Toys whose features are known: activations that are sums of binary features, and ReLU
        autoencoders trained on them with the penalty c. Lines are predictions with nothing fitted;
        a point is a latent. *Strength:* mean activation of a latent where its feature is there,
        against the feature's strength, for features at right angles and the largest c; dotted,
        nothing is taken. With everything but the encoder held the penalty takes c d / 2 whatever
        the strength and the frequency p, and features below it die; a decoder bias that is trained
        too lets it take c d / (2 (1 − p)). Crosses: all weights move, and latents of weak features
        may turn toward other features, so that they outlive the prediction. *Interference:*
        features of which any two have the same cosine. Filled: only the latents' sizes are trained,
        as the theory has it. Hollow: an encoder, which can also shrink a latent on those tokens on
        which others are active. *Coefficient:* what is taken, against c d / 2; the legend has the
        slope of a regression over all features that live. *Noise:* the factor that a least squares
        fit gives latents on which noise was put, in units of their size; strong noise undoes the
        cure, which is the dilution of regression. The toys are small and noiseless by design: they
        test the formulas, not what autoencoders of a language model do.
        """,
    ),
    "tuning_curves": Figure(
        "tuning_curves", "Fine-tuning error against tokens",
        draw=f"{_FIGURES}.curves:tuning_curves", options={"frozen": FROZEN},
        caption="""
        The mean squared error while autoencoders are fine-tuned, averaged over the batches since
        the point before, on tokens of the training split. Methods that leave the encoder frozen are
        in panels of their own; those that free it reach much lower, with more latents active (see
        the figure of L0), and have a logarithmic axis. Every panel has an axis of its own. The
        dashed line in a method's colour is the error of the closed form on the tokens that it was
        fitted to, which no decoder with the same latents can undercut on those tokens but for its
        ridge; a point can lie below it, since it is a mean over other and fewer tokens. That a
        curve is flat does not say that it has converged: the distance to the line does.
        """,
    ),
    "closed_form_excess": bars(
        "closed_form", "excess", title="Error of gradient steps beyond the closed form",
        label="MSE: steps / closed form - 1", line=(0.0, "the closed form"), bars="steps",
        caption="""
        The mean squared error on held-out documents of SAEs fine-tuned by gradient steps, relative
        to that of the closed form of the same method, minus one, in pairs. Near zero the steps have
        converged; above, more steps or another learning rate would help; below, they generalise
        better than the closed form with its ridge.
        """,
    ),
    "published_beside_ours": Figure(
        "published", "Effects of fine-tuning: published and here",
        draw=f"{_DRAWING}:published_beside_ours", options={"values": _EFFECTS}, labels=_EFFECTS,
        caption="""
        What fine-tuning gave in the post, on Pythia-70m and 100 million tokens of OpenWebText (mean
        over six layers), and here, over the ReLU autoencoders that were trained with the post's
        loss: the mean of their MSE reductions, and the median of their perplexity recoveries, with
        the lowest and the highest autoencoder. A recovery is a share of what the autoencoder adds,
        so that those which add less than .01 nats per token are left out of it. Another model and
        other data need not give the same numbers; what should carry over are signs and order, and
        the table ``published`` has a verdict on each, with the rule by which it was given and how
        many autoencoders were left out, and why.
        """,
    ),
    "reconstruction_bias_by_layer": bars(
        "reconstruction_bias", title="Relative reconstruction bias by layer",
        line=(1.0, "no suppression"), select=_TUNED_RECIPES,
        caption="""
        The factor by which reconstructions are longer than the best rescaling of themselves, Σ|x̂|²
        / Σ⟨x, x̂⟩. Values lie below the dashed line where latents are suppressed and above it where
        they are too strong. Fitting a factor per latent and the decoder's bias to the squared error
        must bring it to 1 on the tokens that were fitted, so that a bias of 1 is no proof that each
        latent has its right strength. A bias a little above 1 after fine-tuning is the mark of a
        fit to texts of another kind than the measured ones.
        """,
    ),
    "suppression_by_architecture": Figure(
        "suppression_by_architecture", "Suppression by architecture",
        draw=f"{_FIGURES}.frontier:by_architecture",
        options={
            "values": ("reconstruction_bias", "l2_ratio"), "line": (1.0, "no suppression"),
            "names": {"reconstruction_bias": "Rel. reconstr. bias"},
        },
        labels=("l2_ratio", "l0"),
        caption="""
        How much each architecture suppresses, beside how sparse it is: L0 (logarithmic axis)
        against the relative reconstruction bias Σ|x̂|² / Σ⟨x, x̂⟩ above, and the L2 ratio below.
        One point per autoencoder that was not fine-tuned, with 95 % intervals, often smaller than
        the point; a thin line joins those of one architecture. On the dashed line nothing is
        suppressed. The bias says whether one factor would make a reconstruction better, so a bias
        of 1 is no proof of good features, and latents that are too weak can make up for others that
        are too strong. The L2 ratio also falls where features are missing, so that it is below 1 at
        a low L0 in every architecture: compare points of about the same L0.
        """,
    ),
    "frontier_fvu": frontier(
        "frontier", "fvu", title="L0 against unexplained variance",
        caption="""
        Sparsity against reconstruction: L0 (logarithmic axis) and the fraction of variance that the
        reconstruction leaves unexplained, about the mean of the evaluated tokens. Down and to the
        left is better. Each point is an autoencoder. A name stands beside its recipe's highest
        point, or a line leads from it there; originals are rings, and a grey line joins each with
        what it became. Every panel has a vertical axis of its own.
        """,
    ),
    "frontier_delta_ce": frontier(
        "frontier", "delta_ce", title="L0 against added loss",
        caption="""
        Sparsity against what the model loses: L0 (logarithmic axis) and the increase of the
        next-token loss when the reconstruction takes the place of the activation on every ordinary
        token. Down and to the left is better. Each point is an autoencoder. A name stands beside
        its recipe's highest point, or a line leads from it there; originals are rings, and a grey
        line joins each with what it became. Every panel has a vertical axis of its own.
        """,
    ),
    "training_curves": Figure(
        "training_curves", "Training curves", draw=f"{_FIGURES}.curves:training_curves",
        options={"values": ("fvu", "l0"), "names": {"fvu": "Batch FVU"}}, labels=("l0",),
        caption="""
        Training of the autoencoders before any fine-tuning, from their logs: fraction of variance
        unexplained, here about the mean of each training batch, and L0, each averaged since the
        point before. One line per recipe and seed; both axes are logarithmic.
        """,
    ),
}  # fmt: skip
