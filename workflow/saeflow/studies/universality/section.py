"""What the universality study asks of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from saeflow.config.amounts import check_amounts
from saeflow.config.base import HookName, Items, MaybeItems, Name, Whole
from saeflow.config.base import Section as Part
from saeflow.config.checks import check_among, check_study, refer, tokenizer_of
from saeflow.config.sections import Place, StudySection
from saeflow.errors import ConfigError
from saeflow.studies.universality.comparisons import KEYS, NULLS, of_comparison, pairs, places_of
from saeflow.studies.universality.rows import crosscoder_rows, places


class Comparison(Part):
    """SAEs that are held against each other; what it does not list is the study's own."""

    vary: Items[Literal["model", "train_on", "hook", "sae", "seed"]]
    """What two SAEs may differ in to be compared; in all else they agree."""
    models: Items[str] | None = None
    """Names under `models`; `model@step` is a checkpoint of one that is trained here. Two whose
    hooks have one width count as two trainings of one model, as on deduplicated text or not."""
    train_on: Items[Place] | None = None
    """Where SAEs are trained."""
    hooks: Items[HookName] | None = None
    """Where SAEs are."""
    saes: Items[str] | None = None
    """Names under `saes`."""
    seeds: Items[Whole] | None = None
    """Seeds of the initial weights."""
    against: str | int | None = None
    """The value that all others are held against; null for each against each."""


class Nulls(Part):
    """What the study's own SAEs are held against that should have nothing in common with them."""

    hooks: MaybeItems[HookName] = []
    """Hooks of another layer."""
    saes: MaybeItems[str] = []
    """Names under `saes` of SAEs with random weights (tokens: 0, or architecture: random)."""
    models: MaybeItems[str] = []
    """Names under `models` of models whose weights mean nothing (shuffle, or `model@0`)."""


class Section(StudySection):
    """Whether different SAEs find the same features."""

    SAE_KEYS: ClassVar[tuple[str, ...]] = ("saes", "language_saes", "effect_saes", "crosscoders")

    comparisons: Annotated[dict[Name, Comparison], Field(min_length=1)]
    """What is held against what, by name."""
    nulls: Nulls = Nulls()
    """What the study's own SAEs, of `saes`, are held against to tell what a similarity means."""
    language_saes: MaybeItems[str] = []
    """The names among `saes` whose loss in the model is measured."""
    effect_saes: MaybeItems[str] | None = None
    """The names among `saes`, of the first seed, of whose features it is measured what the model
    loses without them; null for all of `saes`."""
    contexts_of: MaybeItems[Name] | None = None
    """The comparisons of which a pair of SAEs is shown in texts; null for all."""
    facts_of: MaybeItems[Name] | None = None
    """The comparisons whose SAEs are held against what is known of each token of `evaluate_on`,
    where that is generated; null for all."""
    crosscoders: MaybeItems[str] = []
    """Names under `saes` of recipes with `joined`: trained at each of the study's hooks (but those
    that they join), of the first seed, and held against the pairs of SAEs at the same places."""

    @classmethod
    def check(cls, config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
        """Check that what is compared is there, and that it can be compared."""
        for name, comparison in section["comparisons"].items():
            _check(config, section, f"{where} > comparisons > {name}", comparison)
        _check_nulls(config, section, f"{where} > nulls")
        _check_tokens(config, section, where)
        of_saes = dict.fromkeys(("language_saes", "effect_saes"), "saes")
        of_pairs = dict.fromkeys(("contexts_of", "facts_of"), "comparisons")
        check_among(section, {**of_saes, **of_pairs}, where)
        _check_crosscoders(config, section, f"{where} > crosscoders")


def _check(
    config: Mapping[str, Any], section: Mapping[str, Any], where: str, own: Mapping[str, Any]
) -> None:
    """Check one comparison."""
    there = of_comparison(section, own)
    for key in own["vary"]:
        values = there[KEYS[key]]
        if not isinstance(values, list) or len(values) < 2:
            raise ConfigError(
                "there is nothing to compare",
                where=f"{where} > {KEYS[key]}",
                expected="two at least, for it varies",
                got=values,
            )
    if len(places_of(there)) > 1 and "train_on" not in own["vary"]:
        raise ConfigError(
            "SAEs are trained at several places, which the comparison does not vary",
            where=f"{where} > vary",
            expected="train_on among them",
            got=", ".join(own["vary"]),
        )
    if own["against"] is not None:
        _check_against(own["vary"], there, where, own["against"])
    for place in places_of(there):
        _check_saes(config, there, where, place)


def _check_against(
    vary: Sequence[str], there: Mapping[str, Any], where: str, against: str | int
) -> None:
    """Check that what all others are held against is among what a comparison varies."""
    values = there[KEYS[vary[0]]] if len(vary) == 1 and vary != ["train_on"] else []
    if against not in values:
        raise ConfigError(
            "there is no such value of what this comparison varies",
            where=f"{where} > against",
            expected=f"one of {', '.join(map(str, values))}"
            if values
            else "a comparison that varies one of model, hook, sae, seed",
            got=against,
            remedy="Correct it, or leave it out: each is then held against each.",
        )


def _check_nulls(config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
    """Check that what the study's SAEs are held against is there, and means nothing."""
    for key, values in section["nulls"].items():
        there = {**section, key: [*section[key], *values]}
        _check_saes(config, there, where, there["train_on"])
    for name in section["nulls"]["saes"]:
        recipe = config["saes"][name]
        if recipe.get("tokens") != 0 and recipe.get("architecture") != "random":
            raise ConfigError(
                "the weights of this SAE are not random",
                where=f"{where} > saes",
                expected="SAEs with tokens: 0, or architecture: random",
                got=name,
                remedy="Name it under `comparisons`, or set its `tokens` to 0.",
            )
    for name in section["nulls"]["models"]:
        model, _, step = name.partition("@")
        if "shuffle" not in config["models"][model] and step != "0":
            raise ConfigError(
                "the weights of this model mean something",
                where=f"{where} > models",
                expected="models with `shuffle`, or MODEL@0",
                got=name,
                remedy="Name it under `comparisons`, or one that is shuffled here.",
            )


def _check_saes(
    config: Mapping[str, Any], there: Mapping[str, Any], where: str, place: Mapping[str, str]
) -> None:
    for key in ("models", "saes"):
        for name in there[key]:
            refer(config, key, name.partition("@")[0], f"{where} > {key}")
    study = {**there, "train_on": place}
    check_study(config, where, study)
    check_amounts(config, study, where.partition(" > ")[0])


def _check_crosscoders(config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
    """Check that crosscoders join hooks that are there, of models that read the same tokens."""
    for name in section["crosscoders"]:
        refer(config, "saes", name, where)
        if not config["saes"][name].get("joined"):
            raise ConfigError(
                f"'{name}' is no crosscoder",
                where=where,
                expected="a recipe with joined",
                got=name,
                remedy="Give it the hooks that it reads beside its own, or name it under saes.",
            )
        rows = list(crosscoder_rows(config, {**section, "crosscoders": [name]}))
        if not rows:
            raise ConfigError(
                f"the crosscoder '{name}' joins every place that the study has",
                where=where,
                expected="a hook of the study beside those that it joins",
                got=", ".join(config["saes"][name]["joined"]),
            )
        if any(len({*found}) < len(found) for found in (places(config, row) for row in rows)):
            raise ConfigError(
                f"the crosscoder '{name}' joins one hook of a model twice",
                where=where,
                expected="each once",
                got=", ".join(config["saes"][name]["joined"]),
            )
        joined = {place for row in rows for place in places(config, row)}
        for model, hook in sorted(joined):
            refer(config, "models", model.partition("@")[0], f"{where} > {name}")
            there = {**section, "saes": [], "models": [model], "hooks": [hook]}
            check_study(config, f"{where} > {name}", there)
        own = {tokenizer_of(config, model) for model, _ in joined}
        if len(own) > 1:
            raise ConfigError(
                "a crosscoder reads its hooks at the same tokens, and these models read different"
                " ones",
                where=f"{where} > {name}",
                expected="models with one tokenizer",
                got=" and ".join(sorted(own)),
            )
    own = {**section, "saes": section["crosscoders"]}
    check_amounts(config, own, where.partition(" > ")[0])


def _check_tokens(config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
    """Check that models whose SAEs are compared read the same tokens."""
    for pair in pairs(config, section):
        rows = (pair.first, pair.second)
        own = [tokenizer_of(config, row["model"]) for row in rows]
        if own[0] != own[1]:
            at = "nulls" if pair.comparison in NULLS else f"comparisons > {pair.comparison}"
            models = [row["model"] for row in rows]
            raise ConfigError(
                "activations are compared token by token, and these models read different tokens",
                where=f"{where} > {at}",
                expected="models with one tokenizer",
                got=" and ".join(f"{m} with {t}" for m, t in zip(models, own, strict=True)),
                remedy="Compare others, or, if the two tokenizers are the same one, set `tokenizer`"
                " of the models to one name under `tokenizers`.",
            )
