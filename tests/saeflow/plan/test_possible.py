"""What models and texts cannot give is refused before anything runs, by whoever plans."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from saeflow.cli.main import main
from saeflow.cli.study import open_study
from saeflow.errors import SaeflowError
from saeflow.work import bulk_path, hold

ROOT = Path(__file__).parents[3]
N_BLOCKS, N_POSITIONS = 5, 256
CONFIG = {
    "models": {"own": {"path": "model"}},
    "datasets": {"d": {"path": "texts.jsonl"}},
    "packings": {"p": {"context_length": 16, "tokens": {"train": 200}}},
    "saes": {"topk": {"architecture": "topk", "k": 4, "batch_size": 32}},
    "studies": {
        "suppression": {
            "models": ["own"],
            "evaluate_on": {"dataset": "d", "packing": "p"},
            "hooks": ["resid_post.4"],
            "saes": ["topk"],
        }
    },
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with a model's files, without its weights' content, and 40 texts of 10 words."""
    monkeypatch.chdir(tmp_path)
    facts = {"model_type": "gpt2", "n_layer": N_BLOCKS, "n_embd": 16, "vocab_size": 30}
    facts |= {"n_positions": N_POSITIONS, "n_head": 2}
    Path("model").mkdir()
    Path("model/config.json").write_text(json.dumps(facts))
    Path("model/model.safetensors").write_text("weights")
    words = {f"w{i}": i for i in range(20)} | {"<unk>": 20}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save("model/tokenizer.json")
    lines = [json.dumps({"text": f"w{i % 20} " + "w1 w2 w3 " * 3}) for i in range(40)]
    Path("texts.jsonl").write_text("\n".join(lines))
    return tmp_path


def write(change):
    config = copy.deepcopy(CONFIG)
    change(config, config["studies"]["suppression"])
    Path("config.yaml").write_text(yaml.safe_dump(config))


CHANGES = {
    "a block that is not there": (
        lambda c, s: s["hooks"].append("resid_post.7"),
        "studies > suppression > hooks: the model 'own' has no hook resid_post.7: it has blocks"
        " 0 to 4",
    ),
    "a transcoder's target that is not there": (
        lambda c, s: c["saes"]["topk"].update(target="mlp_out.5"),
        "the model 'own' has no hook mlp_out.5",
    ),
    "a longer context": (
        lambda c, s: c["packings"]["p"].update(context_length=512),
        "packings > p > context_length: the sequences are longer than the context of the model"
        " 'own' (expected at most 256; got 512)",
    ),
    "a column that is not there": (
        lambda c, s: c["datasets"]["d"].update(text="body"),
        "datasets > d: texts.jsonl > line 1: there is no column 'body'",
    ),
    "more tokens than there are": (
        lambda c, s: c["packings"]["p"]["tokens"].update(train=600),
        "packings > p > tokens > train: the train split of the dataset 'd' has too few tokens",
    ),
    "more active latents than there are": (
        lambda c, s: c["saes"]["topk"].update(k=65),  # of 4 times 16
        "saes > topk > k: on the model 'own', of width 16, that many are not (expected at most 64",
    ),
    "more components than the width": (
        lambda c, s: c["saes"].update(topk={"architecture": "pca", "components": 17}),
        "saes > topk > components",
    ),
    "no weights": (
        lambda c, s: Path("model/model.safetensors").unlink(),
        "models > own > path: model: there are no weights in this directory",
    ),
    "no configuration": (
        lambda c, s: Path("model/config.json").unlink(),
        "models > own > path: this is not a model's directory",
    ),
    "no tokenizer": (
        lambda c, s: [p.unlink() for p in Path("model").glob("tokenizer*")],
        "models > own > path: the model brings no tokenizer",
    ),
    "samples that are too long": (
        lambda c, s: c["datasets"].update(
            d={"sample": {"model": "own", "n_documents": 9, "max_tokens": 256}}
        ),
        "datasets > d > sample > max_tokens: documents longer than the model's context",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_cannot_be_is_refused_with_its_place(kind, place):
    change, message = CHANGES[kind]
    write(change)
    with pytest.raises(SaeflowError) as refused:
        open_study(Path("config.yaml"))
    assert str(refused.value).startswith("config.yaml > ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda c, s: None,
        lambda c, s: c["packings"]["p"].update(context_length=256),
        lambda c, s: c["saes"]["topk"].update(k=64),
        # 40 texts of 10 words and what stands between them, 90 % of them
        lambda c, s: c["packings"]["p"]["tokens"].update(train=360),
    ],
)
def test_what_can_be_is_not(change, place):
    write(change)
    open_study(Path("config.yaml"))


def test_a_model_that_was_fetched_is_known_by_its_copy(place):
    write(lambda c, s: None)
    study = open_study(Path("config.yaml"))
    model = study.plan.model("own")
    with hold(model.output, model.identity) as work:
        shutil.copy("model/config.json", work.path)
        work.finish({})
    assert bulk_path(model.output, model.identity).is_dir()
    write(lambda c, s: s["hooks"].append("resid_post.7"))
    with pytest.raises(SaeflowError, match=r"no hook resid_post\.7: it has blocks 0 to 4"):
        open_study(Path("config.yaml"))


def test_checkpoints_and_models_trained_here_are_known_by_their_settings(place):
    def change(config, study):
        train = {"dataset": "d", "packing": "q", "tokenizer": "t", "n_layers": 2, "tokens": 9000}
        config["models"]["trained"] = {"train": train}
        config["tokenizers"] = {"t": {"train": "d"}}
        config["packings"]["q"] = {"context_length": 8}
        study.update(models=["trained@1"], hooks=["resid_post.1"])

    def shuffle(config, study):
        change(config, study)
        config["models"]["noise"] = {"shuffle": "trained@1"}
        study["models"] = ["noise"]

    for asked in (change, shuffle):
        write(asked)
        with pytest.raises(SaeflowError, match=r"longer than the context.*at most 8; got 16"):
            open_study(Path("config.yaml"))


def test_a_published_model_is_refused_what_it_cannot_have_before_it_is_fetched(place):
    def change(config, study):
        own = {"hub": "EleutherAI/pythia-70m", "revision": "a" * 40}
        config["models"]["pythia"] = own
        study.update(models=["pythia"], hooks=["resid_post.6"])

    write(change)
    with pytest.raises(SaeflowError, match=r"no hook resid_post\.6: it has blocks 0 to 5"):
        open_study(Path("config.yaml"))


def test_snakemake_plan_and_doctor_refuse_with_the_same_words(place, capsys):
    change, message = CHANGES["a block that is not there"]
    write(change)
    assert main(["plan", "--no-calibrate"]) == 1
    assert message in capsys.readouterr().err
    assert main(["doctor"]) == 1
    assert message in capsys.readouterr().out
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n"]
    done = subprocess.run([*command, "--cores", "1"], capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr
