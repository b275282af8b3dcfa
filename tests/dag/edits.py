"""Edits of a tree: of its configuration, its sources, and what it made."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from dag.tree import Tree


def study(key: str, value: object) -> Callable[[Tree], object]:
    """Return a change that appends to a list of the study."""
    return lambda tree: tree.configure(
        lambda config: config["studies"]["suppression"][key].append(value)
    )


def entry(section: str, name: str, **keys: object) -> Callable[[Tree], object]:
    """Return a change of keys of one entry of the configuration."""
    return lambda tree: tree.configure(lambda config: config[section][name].update(keys))


def after(before: Callable[[Tree], object], change: Callable[[Tree], object]):
    """Return a change that is made once another one was, and what it wanted is there."""

    def apply(tree: Tree) -> None:
        before(tree)
        tree.pretend()
        change(tree)

    return apply


def temporary(change: Callable[[Tree], object]) -> Callable[[Tree], object]:
    """Return a change that is made once temporary stores were removed."""
    return after(lambda tree: keep_stores(tree, False), change)


def put(name: str, text: str = "{}") -> Callable[[Tree], object]:
    """Return a change that writes a file."""

    def apply(tree: Tree) -> None:
        path = tree.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return apply


def take_local_files(tree: Tree) -> None:
    """Have texts, the model and an SAE in directories."""
    read_shards(tree)
    take_local_model(tree)
    add_import(tree)


def leave_beside(tree: Tree) -> None:
    """Leave in these directories what nobody reads."""
    names = (".git/index", ".DS_Store", ".cache/huggingface/download/x.metadata", "README.md")
    names += ("trainer_state.json", "optimizer.pt", "training_args.bin", "logs/events.out")
    for directory in ("shards", "mine", "theirs/1"):
        for name in names:
            put(f"{directory}/{name}")(tree)


def read_shards(tree: Tree) -> None:
    """Have the texts in a directory of files."""
    put("shards/0.jsonl", '{"text": "one"}\n')(tree)
    put("shards/1.jsonl", '{"text": "two"}\n')(tree)
    tree.configure(lambda config: config["datasets"]["texts"].update(path="shards"))


def rename_shards(tree: Tree) -> None:
    """Call them otherwise, in the same order."""
    (tree.path / "shards").rename(tree.path / "parts")
    (tree.path / "parts/1.jsonl").rename(tree.path / "parts/9.ndjson")
    tree.configure(lambda config: config["datasets"]["texts"].update(path="parts/*.*json*"))


def ask_prompts(tree: Tree) -> None:
    """Have a second study that asks two prompt sets from files."""
    for name in ("one", "other"):
        put(f"{name}.jsonl", '{"text": "so be it"}\n')(tree)
    tree.configure(study_prompts)


def study_prompts(config) -> None:
    """Add the study of `ask_prompts` to a configuration."""
    config["prompts"] = {name: {"path": f"{name}.jsonl"} for name in ("one", "other")}
    study = {**config["studies"]["suppression"], "prompts": ["one", "other"]}
    del study["methods"]
    config["studies"]["reconstruction"] = study


def ask_labelled(tree: Tree) -> None:
    """Have a second study that classifies texts of two files."""
    for name in ("one", "other"):
        put(f"{name}.jsonl", '{"text": "so be it", "label": 1}\n')(tree)
    tree.configure(study_labelled)


def study_labelled(config) -> None:
    """Add the study of `ask_labelled` to a configuration."""
    config["labelled"] = {name: {"path": f"{name}.jsonl"} for name in ("one", "other")}
    study = {**config["studies"]["suppression"], "labelled": ["one", "other"]}
    del study["methods"]
    config["studies"]["classification"] = study


def take_local_model(tree: Tree) -> None:
    """Have the study's model in a directory."""
    put("mine/model.safetensors")(tree)
    put("mine/config.json")(tree)
    tree.configure(lambda config: config["models"].update(small={"path": "mine"}))


def keep_stores(tree: Tree, keep: bool) -> None:
    tree.configure(lambda c: c.update(activations={"temporary": not keep}))


def add_sae(tree: Tree) -> None:
    def change(config) -> None:
        config["saes"]["topk-8"] = {"architecture": "topk", "k": 8}
        config["studies"]["suppression"]["saes"].append("topk-8")

    tree.configure(change)


def add_shuffled(tree: Tree) -> None:
    def change(config) -> None:
        config["models"]["noise"] = {"shuffle": "small"}
        config["studies"]["suppression"]["models"].append("noise")

    tree.configure(change)


def add_import(tree: Tree) -> None:
    for block in (1, 2):
        directory = tree.path / f"theirs/{block}"
        directory.mkdir(parents=True)
        (directory / "cfg.json").write_text("{}")

    def change(config) -> None:
        config["saes"]["theirs"] = {"path": "theirs/{block}"}
        config["studies"]["suppression"]["saes"].append("theirs")

    tree.configure(change)


def code(name: str, old: str, new: str) -> Callable[[Tree], object]:
    """Return a change of a source file's code: of the first place with a text."""
    return lambda tree: tree.edit(f"workflow/saeflow/{name}", old, new)


def comment(tree: Tree) -> None:
    for path in sorted((tree.path / "workflow").rglob("*.py")):
        path.write_text("# a comment\n" + path.read_text() + "\n# another\n")
    for path in sorted((tree.path / "scripts").glob("*.py")):
        path.write_text(path.read_text().replace('"""', '"""Said otherwise: ', 1))


def stores(tree: Tree):
    return tree.path / "results/activations/small/texts/ctx-64"


def shard(tree: Tree, hook: str):
    (shard,) = stores(tree).glob(f"{hook}.*/shard")
    return shard


def _saes_directory(tree: Tree):
    return tree.path / "results/saes/small/texts/ctx-64"


def delete_record(tree: Tree, name: str) -> None:
    (_saes_directory(tree) / name).unlink()


def delete_bulk(tree: Tree, name: str) -> None:
    (bulk,) = (_saes_directory(tree) / name).glob("sae.*/")
    shutil.rmtree(bulk)


def change_bulk(tree: Tree, name: str) -> None:
    """Change a byte of what stands for weights; the size stays."""
    (file,) = (_saes_directory(tree) / name).glob("sae.*/shard")
    file.write_text("y")


def cut(tree: Tree, name: str) -> None:
    (tree.path / name).write_text("1")


def change_digit(tree: Tree, name: str) -> None:
    """Change a digit of a file, which keeps its size."""
    path = tree.path / name
    text = path.read_text()
    digit = next(character for character in text if character.isdigit())
    path.write_text(text.replace(digit, str((int(digit) + 1) % 10), 1))
