"""`saeflow.code` on the source of saeflow itself: what runs must be reached, and edits be seen."""

import ast
import random
import re
import shutil
import subprocess
import sys

import pytest

import made_up_study
from sae_recipes import plain
from sae_stores import make_activations, place, task_of
from saeflow.code import NEUTRAL, Source
from saeflow.figures.making import make_figures
from saeflow.finetune.sweep import finetune_sweep
from saeflow.measures.reconstruction import measure_reconstruction
from saeflow.metrics.registry import METRICS, measure_of
from saeflow.sae.training.sweep import train_sweep
from saeflow.studies.suppression import STUDY
from saeflow.tables.files import write_csv
from tiny_stores import raise_failure
from tiny_world import make_world
from traced_code import PACKAGE, SCRIPTS, assert_reached, traced, unreached

TRAINING = "saeflow.sae.training.sweep:train_sweep"
TUNING = "saeflow.finetune.sweep:finetune_sweep"
RECONSTRUCTION = "saeflow.measures.reconstruction:measure_reconstruction"
TOKENIZING = "saeflow.tokens.tokenize:tokenize_dataset"
ARCHITECTURES = [f"saeflow.sae.architectures.{name}" for name in plain()]


@pytest.fixture(scope="module")
def source():
    return Source(PACKAGE.parent, SCRIPTS)


def test_saes_are_trained_tuned_and_measured_by_what_is_reached(tmp_path, source):
    activations = make_activations(tmp_path)
    recipes = {**plain(), "pca": {"architecture": "pca", "components": 3, "seed": 0}}
    saes = {
        name: task_of(place(tmp_path, name), recipe, activations=activations)
        for name, recipe in recipes.items()
    }
    with traced() as trace:
        train_sweep(list(saes.values()))
    raise_failure(saes.values())
    roots = [TRAINING, *ARCHITECTURES, "saeflow.sae.training.baseline:pca"]
    assert_reached(trace, source, roots)
    for root in roots:  # each is needed
        assert unreached(trace, source, set(roots) - {root})

    common = {"activations": activations, "parent": saes["relu"].output}
    settings = {"solver": "exact", "method": "scale", "ridge": 1.0}
    tuned = task_of(place(tmp_path, "tuned"), settings, **common)
    with traced() as trace:
        finetune_sweep([tuned])
    raise_failure([tuned])
    named = ["saeflow.finetune.methods:SCALE", "saeflow.finetune.solvers.exact", *ARCHITECTURES]
    assert_reached(trace, source, [TUNING, *named])

    measured = [
        task_of(place(tmp_path, f"measured {name}"), {}, activations=activations, sae=sae.output)
        for name, sae in {**saes, "tuned": tuned}.items()
    ]
    with traced() as trace:
        measure_reconstruction(measured)
    raise_failure(measured)
    assert_reached(trace, source, [RECONSTRUCTION, *ARCHITECTURES])


def test_a_world_is_told_and_tokenized_by_what_is_reached(tmp_path, source):
    with traced() as trace:
        make_world(tmp_path, n_tokens=2000)
    world = ["saeflow.world.dataset:write_dataset", "saeflow.world.tokenizer:train_tokenizer"]
    assert_reached(trace, source, [*world, TOKENIZING])


def test_a_table_is_built_and_drawn_by_what_is_reached(tmp_path, source):
    runs = made_up_study.runs(n_blocks=1)
    for name in ("l0_by_method", "l2_ratio_by_layer", "mse_reduction_by_method"):
        figure = STUDY.figures[name]
        table = STUDY.tables[figure.table]
        with traced() as trace:
            frame = made_up_study.table(STUDY, figure.table, runs)
        metrics = [METRICS[name] for name in table.metrics]
        named = [f"saeflow.metrics.{measure_of(m.name).name}:{m.name}" for m in metrics]
        named += [f"{m.doubt.__module__}:{m.doubt.__qualname__}" for m in metrics if m.doubt]
        readers = ["saeflow.tables.runs:Run", "saeflow.tables.runs:Record"]  # made before
        assert_reached(trace, source, [table.build, *named, *readers])

        write_csv(frame, tmp_path / f"{name}.csv")
        task = made_up_study.figure_task(name, figure, tmp_path / f"{name}.json", tmp_path)
        with traced() as trace:
            make_figures([task])
        raise_failure([task])
        roots = ["saeflow.figures.making:make_figures", figure.draw, figure.select]
        assert_reached(trace, source, filter(None, roots))


UNSEEN = (
    "__init_subclass__ __subclasses__ __set_name__ metaclass __annotations__ get_type_hints"
    " get_annotations __doc__ getsource"
).split()
"""What reads annotations or docstrings, or lets one class change another: the digest would not."""


def test_nothing_that_makes_a_result_does_what_the_digest_cannot_see():
    neutral = [file_of(PACKAGE.parents[1], name) for name in NEUTRAL]
    aside = [*neutral, *PACKAGE.glob("cli/**/*.py"), PACKAGE / "config" / "schema.py"]
    for file in set(PACKAGE.rglob("*.py")) - set(aside):
        assert set(re.findall(r"\w+", file.read_text())).isdisjoint(UNSEEN), file


DIGESTS = """
import sys, json, pathlib
sys.path.insert(0, sys.argv[1])
from saeflow.definitions import analyse
files = sorted(pathlib.Path(sys.argv[1], "saeflow").rglob("*.py"))
print(json.dumps({str(file): analyse(file.read_bytes(), file) for file in files}))
"""


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_every_python_reads_the_source_alike(minor, tree):
    def digests(python):
        command = [python, "-c", DIGESTS, tree / "workflow"]
        return subprocess.run(command, capture_output=True, check=True).stdout

    other = shutil.which(f"python3.{minor}")
    if other is None or subprocess.run([other, "-c", ""], capture_output=True).returncode:
        pytest.skip("it is not installed")
    assert digests(other) == digests(sys.executable)


# -- edits -----------------------------------------------------------------------------------------

ROOTS = {
    "training": ["scripts/train_saes.py:main", "saeflow.sae.architectures.relu"],
    "tuning": [TUNING, "saeflow.finetune.solvers.exact", "saeflow.finetune.methods:SCALE"],
    "drawing": ["scripts/plot.py:main", STUDY.figures["l0_by_method"].draw],
    "tokenizing": ["scripts/tokenize_dataset.py:main"],
}
N_EDITS = 30


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the source that may be edited."""
    root = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, root / "workflow" / "saeflow", ignore=ignore)
    shutil.copytree(SCRIPTS, root / "scripts", ignore=ignore)
    return root


def closure(tree, name):
    return Source(tree / "workflow", tree / "scripts", tree / "cache").closure(ROOTS[name])


def edited(tree, name, file, edit, definition, rng):
    """Return the closure after an edit of a definition, or None where the edit is impossible."""
    text = file.read_text()
    new = edit(text, definition and find(text, definition), rng)
    if new is None:
        return None
    ast.parse(new)
    file.write_text(new)
    try:
        return closure(tree, name)
    finally:
        file.write_text(text)


def file_of(tree, module):
    if module.startswith("scripts/"):
        return tree / module
    base = tree.joinpath("workflow", *module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def find(text, name):
    for statement in ast.parse(text).body:
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", statement)]
        names = {getattr(part, "id", None) for target in targets for part in ast.walk(target)}
        if name == getattr(statement, "name", None) or (name in names and targets != [statement]):
            return statement
    return None


def runs(node):
    """Yield the nodes that are evaluated: no docstrings, no annotations, no parts of f-strings."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not is_docstring(child):
                yield from runs(child)


def is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def replaced(text, node, new):
    """Return the text with a node's own text replaced."""
    lines = text.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    return (text.encode()[:start] + new.encode() + text.encode()[end:]).decode()


def inserted(text, node, line):
    """Return the text with a line before a statement."""
    lines = text.splitlines(keepends=True)
    lines.insert(node.lineno - 1, " " * node.col_offset + line + "\n")
    return "".join(lines)


def any_of(nodes, kind, rng, wanted=lambda node: True):
    found = [node for node in nodes if isinstance(node, kind) and wanted(node)]
    return rng.choice(found) if found else None


def is_plain(function):
    return not function.decorator_list and function.lineno != function.body[0].lineno


def a_constant(text, node, rng):
    chosen = any_of(runs(node), ast.Constant, rng, lambda c: isinstance(c.value, int | float | str))
    return chosen and replaced(text, chosen, "'edited'")


def a_result(text, node, rng):
    chosen = any_of(runs(node), ast.Return, rng, lambda one: one.value is not None)
    return chosen and replaced(text, chosen.value, f"({ast.unparse(chosen.value)}, 1)")


def a_statement(text, node, rng):
    chosen = any_of(runs(node), ast.FunctionDef, rng, is_plain)
    return chosen and inserted(text, chosen.body[-1], "edited = 1")


def a_default(text, node, rng):
    chosen = any_of(runs(node), ast.arguments, rng, lambda one: one.defaults)
    return chosen and replaced(text, chosen.defaults[-1], "'edited'")


def a_comment(text, node, rng):
    chosen = any_of(runs(node), ast.stmt, rng, lambda one: not hasattr(one, "decorator_list"))
    return chosen and inserted(text, chosen, "# edited")


def a_docstring(text, node, rng):
    chosen = any_of(runs(node), ast.FunctionDef, rng, is_plain)
    if chosen is None:
        return None
    if is_docstring(chosen.body[0]):
        return replaced(text, chosen.body[0], '"""Edited."""')
    return inserted(text, chosen.body[0], '"""Edited."""')


def an_annotation(text, node, rng):
    chosen = any_of(runs(node), ast.FunctionDef, rng, lambda f: is_plain(f) and f.returns)
    return chosen and replaced(text, chosen.returns, "Edited")


def an_argument(text, node, rng):
    functions = [n for n in runs(node) if isinstance(n, ast.FunctionDef) and is_plain(n)]
    arguments = [arg for function in functions for arg in function.args.args]
    chosen = any_of(arguments, ast.arg, rng, lambda arg: arg.annotation)
    return chosen and replaced(text, chosen.annotation, "Edited")


def the_order(text, node, rng):
    body = ast.parse(text).body
    pairs = [
        (one, other)
        for one, other in zip(body, body[1:], strict=False)
        if isinstance(one, ast.FunctionDef) and isinstance(other, ast.FunctionDef)
        if not one.decorator_list and not other.decorator_list
    ]
    if not pairs:
        return None
    one, other = rng.choice(pairs)
    first, second = (ast.get_source_segment(text, part) for part in (one, other))
    return replaced(replaced(text, other, first), one, second)


EXECUTED = (a_constant, a_result, a_statement, a_default)
NEUTRAL_EDITS = (a_comment, a_docstring, an_annotation, an_argument, the_order)


def edits(tree, name, kinds):
    """Yield edits of definitions that a root reaches: closures before and after, kind, where."""
    rng, before, n = random.Random(name), closure(tree, name), 0
    while n < N_EDITS:
        module, _, definition = rng.choice(list(before)).partition(":")
        edit = rng.choice(kinds)
        if definition == "<import>":
            continue
        after = edited(tree, name, file_of(tree, module), edit, definition, rng)
        if after is not None:
            n += 1
            yield before, after, edit.__name__, f"{module}:{definition}"


@pytest.mark.parametrize("name", ROOTS)
def test_an_edit_of_what_runs_is_seen_and_names_the_definition(tree, name):
    for before, after, edit, where in edits(tree, name, EXECUTED):
        assert after.get(where) != before[where], (edit, where)
        changed = {before[key] for key in before if after.get(key, before[key]) != before[key]}
        assert changed == {before[where]}  # with the other names of "A, B = 1, 2"


@pytest.mark.parametrize("name", ROOTS)
def test_an_edit_of_anything_else_is_not_seen(tree, name):
    for before, after, edit, where in edits(tree, name, NEUTRAL_EDITS):
        assert after == before, (edit, where)


@pytest.mark.parametrize("name", ROOTS)
def test_a_definition_that_is_not_reached_may_change_or_come_in_every_file(tree, name):
    rng, before = random.Random(name), closure(tree, name)
    whole = Source(tree / "workflow", tree / "scripts", tree / "cache")
    for module in rng.sample(sorted({key.partition(":")[0] for key in before}), 8):
        if module in ROOTS[name]:  # all of it is wanted
            continue
        file = file_of(tree, module)
        assert edited(tree, name, file, something_new, None, rng) == before
        for key in sorted(whole.closure([module]).keys() - before):
            where, _, definition = key.partition(":")
            if where == module:
                assert edited(tree, name, file, a_statement, definition, rng) in (None, before), key


def something_new(text, *_):
    return text + "\n\ndef _unused(x=1):\n    import json\n    return x\n\n\n_UNUSED = _unused\n"
