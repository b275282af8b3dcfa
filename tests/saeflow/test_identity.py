import pytest

from saeflow.errors import SaeflowError
from saeflow.identity import code_digests, identity_of


@pytest.fixture
def tree(tmp_path):
    """A package with a script, a direct import, an import of an import and two by name."""
    files = {
        "saeflow/__init__.py": "",
        "saeflow/a.py": (
            '"""A."""\nfrom saeflow.pack import b\n\ndef f(x):\n    return b.g(x) + 1\n'
        ),
        "saeflow/pack/__init__.py": "",
        "saeflow/pack/b.py": "def g(x):\n    return x * 2\n",
        "saeflow/family/__init__.py": "",
        "saeflow/family/one.py": "VALUE = 1\n",
        "saeflow/family/two.py": "VALUE = 2\n",
        "saeflow/types.py": "class T: pass\n",
        "saeflow/errors.py": "class E(Exception): pass\n",
        "script.py": (
            "from typing import TYPE_CHECKING\n"
            "from saeflow.errors import E\n"
            "if TYPE_CHECKING:\n    from saeflow.types import T\n"
            "def main():\n    from saeflow.a import f\n    f(1)\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digests(tree, *modules):
    return code_digests(tree, tree / "script.py", modules)


def edit(tree, name, old, new):
    path = tree / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_digests_follow_imports_inside_functions_and_packages(tree):
    assert set(digests(tree)) == {
        "script.py",
        "saeflow.a",
        "saeflow.pack",
        "saeflow.pack.b",
    }


def test_imports_for_type_checkers_and_neutral_modules_do_not_count(tree):
    assert not {"saeflow.types", "saeflow.errors"} & set(digests(tree))


def test_a_module_loaded_by_name_counts_when_it_is_named(tree):
    one = digests(tree, "saeflow.family.one")
    assert "saeflow.family.one" in one
    assert "saeflow.family" in one
    edit(tree, "saeflow/family/two.py", "2", "3")
    assert digests(tree, "saeflow.family.one") == one


def test_an_unknown_module_is_an_error(tree):
    with pytest.raises(SaeflowError, match=r"saeflow\.family\.three"):
        digests(tree, "saeflow.family.three")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A."""', '"""A: said otherwise."""'),
        ("def f(x):", "def f(x):  # a comment"),
        ("    return b.g(x) + 1", '    """Add."""\n\n    return (b.g(x) + 1)'),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(tree, old, new):
    before = digests(tree)
    edit(tree, "saeflow/a.py", old, new)
    assert digests(tree) == before


def test_a_change_two_imports_away_changes_that_module_only(tree):
    before = digests(tree)
    edit(tree, "saeflow/pack/b.py", "* 2", "* 3")
    after = digests(tree)
    assert {name for name in before if before[name] != after[name]} == {"saeflow.pack.b"}


def test_a_string_that_is_not_a_docstring_counts(tree):
    edit(tree, "saeflow/pack/b.py", "x * 2", "x * 'a'")
    before = digests(tree)
    edit(tree, "saeflow/pack/b.py", "'a'", "'b'")
    assert digests(tree) != before


def test_none_true_and_a_missing_value_differ(tree):
    seen = set()
    for value in ("return None", "return", "return True", "return 'None'", "return 0", "return 0."):
        (tree / "saeflow/pack/b.py").write_text(f"def g(x):\n    {value}\n")
        seen.add(digests(tree)["saeflow.pack.b"])
    assert len(seen) == 6


def parts(**changes):
    base = dict(rule="r", settings={"l1": 0.1}, code={"m": "1"}, inputs={"x": "i", "y": ["j", "k"]})
    return identity_of(**{**base, **changes})


def test_every_part_of_an_identity_counts():
    identities = {
        parts(),
        parts(rule="s"),
        parts(settings={"l1": 0.2}),
        parts(settings={"l1": 0.1, "k": None}),
        parts(code={"m": "2"}),
        parts(inputs={"x": "i", "y": ["k", "j"]}),
        parts(inputs={"x": "j", "y": ["j", "k"]}),
    }
    assert len(identities) == 7


def test_the_order_of_settings_does_not_count():
    assert parts(settings={"a": 1, "b": 2}) == parts(settings={"b": 2, "a": 1})
