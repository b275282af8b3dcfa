"""What comes before activations: ``models``, ``tokenizers``, ``datasets`` and ``packings``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SkipValidation, Tag, model_validator

from saeflow.config.base import (
    Count,
    Items,
    LeftOut,
    Name,
    NotNegative,
    OnHub,
    Positive,
    Section,
    Share,
    Text,
    TextsOnHub,
    Whole,
    kind,
)
from saeflow.errors import ConfigError

# -- models and tokenizers -----------------------------------------------------------------------


class HubModel(OnHub):
    """A model from the Hugging Face hub, fetched once."""

    trust_remote_code: bool = False
    """Run Python code that the repository brings. Only for authors you trust."""
    tokenizer: LeftOut[Name] = None
    """A name under `tokenizers` in place of the model's own, so that models share tokens."""


class LocalModel(Section):
    """A model in a local Hugging Face directory."""

    path: Text
    """The directory; relative to the working directory."""
    trust_remote_code: bool = False
    """Run Python code that the directory brings. Only for authors you trust."""
    tokenizer: LeftOut[Name] = None
    """A name under `tokenizers` in place of the model's own."""


LOG_SPACED = "log-spaced"


class LanguageModel(Section):
    """How a small language model is built and trained, see `saeflow.models.training_plan`."""

    n_layers: Annotated[int, Field(ge=1, le=128)] = 4
    """Blocks."""
    d_model: Annotated[int, Field(ge=4)] = 128
    """Width."""
    n_heads: Count = 4
    """Attention heads."""
    context_length: Annotated[int, Field(ge=2)] | None = None
    """Positions of the model; null takes those of the packing."""
    tokens: Count = 4_000_000
    """Tokens to train on; more than the split has means epochs."""
    batch_tokens: Count = 2048
    """Tokens in a step."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.003
    """Highest step size of AdamW."""
    weight_decay: NotNegative = 0.05
    """Weight decay of matrices."""
    warmup_tokens: Whole = 160_000
    """Tokens over which the step size rises."""
    induction_steps: Whole = 400
    """Steps on random words to copy and to alternate before any text."""
    initializer_range: Positive = 0.06
    """Standard deviation of the initial weights."""
    seed: Whole = 0
    """Seed of weights and order."""
    checkpoints: SkipValidation[str | list[int]] = LOG_SPACED
    """Steps after which the model is kept, as `model@step`; log-spaced: 0, 1, 2, 4, ..."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format inside the matrix products."""

    @property
    def n_steps(self) -> int:
        """Steps on text."""
        return self.tokens // self.batch_tokens

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if self.d_model % (2 * self.n_heads):
            raise ConfigError(
                "the width cannot be divided among the heads, of which each needs an even number",
                where="d_model",
                expected=f"a multiple of {2 * self.n_heads}",
                got=self.d_model,
            )
        if self.tokens < self.batch_tokens:
            raise ConfigError(
                "there is not one step to train",
                where="tokens",
                expected=f"at least batch_tokens = {self.batch_tokens}",
                got=self.tokens,
                remedy="Raise tokens or lower batch_tokens.",
            )
        steps = self.checkpoints
        if steps != LOG_SPACED and not (
            isinstance(steps, list)
            and all(type(step) is int and 0 <= step < self.n_steps for step in steps)
        ):
            raise ConfigError(
                "a checkpoint lies outside the training",
                where="checkpoints",
                expected=f"'{LOG_SPACED}' or steps from 0 to {self.n_steps - 1}",
                got=steps,
            )
        return self


class Train(LanguageModel):
    """How a small language model is trained, and on what."""

    dataset: Name
    """Its training split is read."""
    packing: Name
    """The packing whose sequences are read."""
    tokenizer: Name
    """A name under `tokenizers`."""


class TrainedModel(Section):
    """A small GPT-NeoX trained here."""

    train: Train
    """How it is trained."""


class ShuffledModel(Section):
    """A control of another model: the entries of each of its weights permuted."""

    shuffle: Text
    """A name under `models`; `model@step` is a checkpoint of one that is trained here. Matrices,
    biases and norms keep their values and lose their order; the tokenizer is the model's own."""
    seed: Whole = 0
    """Seed of the permutations."""
    embeddings: bool = True
    """Permute token embeddings and the LM head too. false leaves each token its own vector, so that
    what is told apart by tokens alone stays."""


Model = Annotated[
    Annotated[HubModel, Tag("hub")]
    | Annotated[LocalModel, Tag("path")]
    | Annotated[TrainedModel, Tag("train")]
    | Annotated[ShuffledModel, Tag("shuffle")],
    kind("hub", "path", "train", "shuffle"),
]


class TrainedTokenizer(Section):
    """A word-level tokenizer."""

    train: Name
    """Train on this dataset's training split."""


class TakenTokenizer(Section):
    """Another model's tokenizer."""

    model: Name
    """Take the one that this model brings."""


Tokenizer = Annotated[
    Annotated[TrainedTokenizer, Tag("train")] | Annotated[TakenTokenizer, Tag("model")],
    kind("train", "model"),
]

# -- datasets and packings -----------------------------------------------------------------------


class Splits(Section):
    """Share of the documents in each split."""

    train: Share = 0.0
    """Share for training."""
    validation: Share = 0.0
    """Share for choosing."""
    test: Share = 0.0
    """Share for every reported number."""

    @model_validator(mode="after")
    def _make_a_whole(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ConfigError("the shares do not sum to one", expected=1, got=total)
        return self


class Dataset(Section):
    """What every dataset has."""

    splits: Splits = Splits(train=0.9, validation=0.05, test=0.05)
    """Share of the documents in each split; a document's split is a hash of its text."""
    splits_seed: Whole = 0
    """Seed of the split."""


class HubDataset(TextsOnHub, Dataset):
    """A dataset from the Hugging Face hub, fetched once."""

    text: str = "text"
    """The column that holds the text; `meta.body` is the field `body` of the column `meta`."""
    n_documents: LeftOut[Count] = None
    """Read this many documents; all by default."""


class LocalDataset(Dataset):
    """Local files with text, JSON Lines, CSV or Parquet, followed by content."""

    path: Text
    """A file (.txt, .jsonl, .ndjson, .csv, .parquet; all but Parquet also .gz or .zst), a directory
    of such files, or a pattern ("shards/*.jsonl.zst"); relative to the working directory."""
    text: str = "text"
    """The column that holds the text; `meta.body` is the field `body` of the column `meta`."""
    separator: LeftOut[Text] = None
    """The line between the documents of a .txt, such as <|endoftext|>; blank lines by default."""


class World(Section):
    """What to generate."""

    seed: Whole = 0
    """Seed of the world."""
    n_tokens: Annotated[int, Field(ge=1000)] = 1_000_000
    """Words to generate."""
    n_prompts: Annotated[int, Field(ge=20)] = 500
    """Prompts in each prompt set."""
    kinds: LeftOut[
        Items[Literal["story", "long_story", "review", "indirect_object", "inventory"]]
    ] = None
    """Documents of these kinds alone, in the same proportions; all kinds by default."""


class GeneratedDataset(Dataset):
    """The built-in world, stories and reviews with the truth about every word."""

    generate: World
    """What to generate."""


class Sample(Section):
    """What to sample."""

    model: Name
    """The model to sample from."""
    n_documents: Count
    """Number of documents."""
    max_tokens: Count = 255
    """Longest document in tokens; at most the positions of the model less one, for the start
    token."""
    temperature: Positive = 1.0
    """Sampling temperature."""
    top_k: Whole = 0
    """Sample among so many tokens; 0: among all."""
    seed: Whole = 0
    """Seed of the sampling."""


class SampledDataset(Dataset):
    """Documents sampled from a model."""

    sample: Sample
    """What to sample."""


AnyDataset = Annotated[
    Annotated[HubDataset, Tag("hub")]
    | Annotated[LocalDataset, Tag("path")]
    | Annotated[GeneratedDataset, Tag("generate")]
    | Annotated[SampledDataset, Tag("sample")],
    kind("hub", "path", "generate", "sample"),
]


class TokenLimits(Section):
    """Limit of tokens per split."""

    train: Whole | None = None
    """Tokens of the training split."""
    validation: Whole | None = None
    """Tokens of the validation split."""
    test: Whole | None = None
    """Tokens of the test split."""


def _no_number(value: Any) -> Any:
    if type(value) in (int, float):  # pydantic takes 1 for true
        raise ConfigError("this is not one of the choices", expected="one of true, false, auto")
    return value


Bos = Annotated[Literal[True, False, "auto"], BeforeValidator(_no_number)]
"""Whether sequences begin with the BOS token; auto: as the tokenizer itself does."""


class Packing(Section):
    """How documents become sequences."""

    mode: Literal["pack", "document"] = "pack"
    """pack: documents joined and cut at the context length; document: one document a sequence, cut
    off at the context length."""
    context_length: Annotated[int, Field(ge=2, le=65536)]
    """Longest sequence in tokens."""
    bos: Bos = "auto"
    """Begin each sequence with the BOS token; auto: as the tokenizer itself does."""
    separator: Literal["eos", "none"] = "eos"
    """What stands between documents in `pack` mode: the EOS token or nothing."""
    tokens: TokenLimits = TokenLimits()
    """Limit per split; null takes all. More than there are is an error."""
    seed: Whole = 0
    """Seed of the documents' order."""
