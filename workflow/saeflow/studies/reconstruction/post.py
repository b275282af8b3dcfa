"""The numbers of the post "Examining language model performance with reconstructed activations".

Anders and Bloom 2024: GPT-2 small, SAEs of 24,576 latents at the input of each of 12 blocks
(res-jb), trained at 128 tokens. By layer, from 0. Positions are 2 to 128 within and 129 to 1,023
beyond the context of the training, means over positions and 100 rows of OpenWebText.
"""

from __future__ import annotations

WITHIN = {
    "l0": (13.0, 15.2, 19.1, 26.5, 33.9, 44.8, 51.6, 58.9, 67.0, 72.8, 55.6, 60.5),
    "squared_error": (0.290, 55.6, 79.9, 139, 222, 312, 439, 610, 871, 1285, 2273, 3626),
    "act_norm": (4.74, 52.5, 57.9, 62.1, 67.3, 72.5, 79.2, 88.4, 102.5, 121.4, 153.0, 225.0),
    "delta_ce": (.021, .018, .070, .147, .129, .145, .144, .158, .151, .159, .207, .241),
}  # fmt: skip
BEYOND = {
    "l0": (1634, 916, 4607, 4218, 2265, 1388, 989, 880, 665, 574, 350, 255),
    "squared_error": (
        497, 5.88e4, 1.40e7, 1.44e7, 2.25e6, 4.45e5, 1.75e5, 1.29e5, 7.22e4, 6.59e4, 5.40e4, 4.29e4,
    ),
    "delta_ce": (6.20, 4.60, 8.41, 8.46, 6.43, 4.09, 2.81, 1.98, 1.10, 0.80, 0.66, 0.50),
}  # fmt: skip
"""Figures "context sizes" and "context sizes, CE", from the table that the authors released."""

CLEAN = {"lambada": {"accuracy": 0.266, "ce": 4.266}, "cbt": {"accuracy": 0.419, "ce": 3.363}}
"""The untouched model; accuracies by the first token of the answer, CE as read off the figure."""

LAMBADA = {
    "accuracy": (.256, .248, .224, .211, .203, .172, .178, .182, .169, .148, .132, .106),
    "ce": (4.286, 4.298, 4.427, 4.502, 4.470, 4.507, 4.538, 4.561, 4.561, 4.554, 4.598, 4.596),
    "delta_logp": (
        .007, -.090, -.425, -.667, -.702, -.913, -.915, -.947, -1.003, -1.220, -1.613, -1.871,
    ),
}  # fmt: skip
CBT = {
    "accuracy": (.001, .004, .000, .002, .002, .026, .048, .109, .184, .216, .243, .276),
    "ce": (6.213, 5.557, 6.917, 6.443, 5.665, 5.017, 4.670, 4.370, 4.148, 3.978, 3.904, 3.796),
    "delta_logp": (
        -7.76, -5.92, -11.24, -10.90, -8.23, -5.47, -3.97, -3.18, -2.38, -2.07, -1.74, -1.41,
    ),
}  # fmt: skip
"""By the authors' tables; CE as read off the figures, to 0.003."""

OUTCOMES = {"lambada": {0: (244, 22, 12, 722), 11: (98, 168, 8, 726)},
            "cbt": {0: (0, 419, 1, 580), 11: (243, 176, 33, 548)}}  # fmt: skip
"""By layer: prompts answered by both, the untouched model alone, that with the SAE alone, neither;
of 1,000."""

AS_PUBLISHED = {
    "lambada": {
        "l0": (85, 13, 16, 19, 22, 24, 27, 28, 37, 35, 20, 24),
        "norm": (4.8, 52, 62, 90, 96, 102, 109, 118, 131, 149, 176, 245),
        "delta_ce": (.161, .114, .580, .765, .591, .529, .509, .443, .346, .326, .421, .357),
    },
    "cbt": {
        "l0": (408, 29, 22, 49, 89, 102, 123, 88, 90, 80, 49, 70),
        "norm": (10, 98, 454, 296, 183, 146, 134, 129, 134, 151, 170, 247),
        "delta_ce": (.80, 1.63, .04, .86, 1.63, 2.33, 2.59, 2.56, 2.44, 2.24, 2.02, 1.79),
    },
}  # fmt: skip
"""Of reconstructions of reconstructions, by a slip in the published code: comparable with ours only
in `published_mode`."""

PROPAGATION = {
    "squared_error": (2.66, 1.99, 1.46, 2.76, 5.39, 4.22, 4.63, 3.58, 9.55, .27, 1.83),
    "l0": (.386, .395, .265, .221, .210, .206, .146, .146, .113, .114, .098),
    "norm": (.091, .021, .029, .036, .037, .032, .030, .024, .018, .010, .034),
}  # fmt: skip
"""Fractional changes at layers 1 to 11 with the SAE of layer 0 in place, as the notebook printed
them: numerator and denominator are of different prompts, and the numerator of one position."""

HUBS = ("jbloom/GPT2-Small-SAEs-Reformatted", "jbloom/GPT2-Small-SAEs")
"""Where the post's SAEs are."""
