"""The rules of `saeflow.code`, each on a package of a few lines."""

import os

import pytest

from made_up_package import Package, same
from saeflow import code
from saeflow.errors import SaeflowError
from saeflow.files import sha256_file

SCRIPT = """
from saeflow.errors import E
def main():
    from saeflow.a import f
    f(1)
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def package(tmp_path):
    return Package(tmp_path)


def test_a_definition_takes_what_it_names_and_nothing_beside_it(package):
    package.write(
        "a",
        "X = 1\nY = 2\ndef f(): return g() + X\ndef g(): return h\ndef h(): pass\n"
        "def unused(): return Y + f()\n",
    )
    assert package.reached("a:f") == {"a:f", "a:g", "a:h", "a:X"}


def test_names_are_followed_through_imports_of_every_form(package):
    package.write("pack", "")
    package.write("pack.b", "X = 1\ndef g(): pass\ndef other(): pass\n")
    package.write("paths", "A = 1\nB = 2\ndef fill(): return A\n")
    for line, use in [
        ("from saeflow.pack.b import g", "g()"),
        ("from saeflow.pack.b import g as k", "k()"),
        ("from saeflow.pack import b", "b.g()"),
        ("from saeflow.pack import b as c", "c.g()"),
        ("from saeflow import pack", "pack.b.g()"),
        ("import saeflow.pack.b", "saeflow.pack.b.g()"),
        ("import saeflow.pack.b as c", "c.g()"),
    ]:
        package.write("a", f"{line}\ndef f(): {use}\n")
        assert package.reached("a:f") == {"a:f", "pack.b:g"}, line
        package.write("a", f"def f():\n    {line}\n    {use}\n")
        assert package.reached("a:f") == {"a:f", "pack.b:g"}, line
    package.write("a", "from saeflow import paths\ndef f(): return paths.fill\n")
    assert package.reached("a:f") == {"a:f", "paths:fill", "paths:A"}


def test_a_name_that_was_imported_from_elsewhere_is_followed_there(package):
    package.write("pack", "from saeflow.pack.b import g\nfrom saeflow.pack import b\n")
    package.write("pack.b", "def g(): pass\ndef other(): pass\n")
    package.write("a", "from saeflow.pack import g\ndef f(): g()\n")
    assert package.reached("a:f") == {"a:f", "pack.b:g"}
    package.write("a", "from saeflow import pack\ndef f(): pack.g()\n")
    assert package.reached("a:f") == {"a:f", "pack.b:g"}


def test_what_an_imported_name_stands_for_counts(package):
    first = "from math import sin as f, cos as g\ndef h(): return f(1)\n"
    assert not same(package, "a", first, first.replace("sin as f, cos", "cos as f, sin"), "a:h")
    first = "import math\ndef h(): return math.e\ndef i(): return 1\n"
    second = first.replace("import math", "import cmath as math")
    assert not same(package, "a", first, second, "a:h")
    assert same(package, "a", first, second, "a:i")
    package.write("b", "def x(): pass\ndef y(): pass\n")
    first = "from saeflow.b import x as p, y as q\ndef h(): return p() or q()\n"
    assert not same(package, "a", first, first.replace("x as p, y as q", "y as p, x as q"), "a:h")


@pytest.mark.parametrize(
    "use",
    ["g(b)", "getattr(b, 'x')", "b.missing", "[b]", "vars(b)", "(b if 1 else 0).x"],
)
def test_a_module_used_as_a_value_is_all_that_it_holds(package, use):
    package.write("c", "Z = 1\nW = 2\n")
    package.write("b", "from saeflow.c import Z\ndef x(): pass\ndef y(): pass\n")
    package.write("a", f"from saeflow import b\ndef g(m): pass\ndef f(): return {use}\n")
    assert {"b:x", "b:y", "c:Z"} <= package.reached("a:f")
    assert "c:W" not in package.reached("a:f")


def test_a_package_used_as_a_value_is_its_modules_too(package):
    package.write("pack", "")
    package.write("pack.b", "def x(): pass\n")
    package.write("a", "from saeflow import pack\ndef f(g): g(pack)\n")
    assert package.reached("a:f") == {"a:f", "pack.b:x"}
    assert package.reached("pack") == {"pack.b:x"}


def test_a_package_may_lack_a_file_of_its_own(package):
    package.write("loose.b", "def x(): pass\ndef y(): pass\n")
    package.write("a", "from saeflow.loose import b\ndef f(): b.x()\n")
    assert package.reached("a:f") == {"a:f", "loose.b:x"}
    assert set(package.source().files(["saeflow.a:f"])) == {
        "workflow/saeflow/__init__.py",
        "workflow/saeflow/a.py",
        "workflow/saeflow/loose/b.py",
    }


def test_importing_everything_takes_everything(package):
    package.write("b", "def x(): pass\ndef y(): pass\n")
    package.write("a", "from saeflow.b import *\ndef f(): pass\n")
    package.write("c", "from saeflow.a import x\ndef g(): x()\n")
    assert {"b:x", "b:y"} <= package.reached("a:f")
    assert {"b:x", "b:y"} <= package.reached("c:g")


@pytest.mark.parametrize("line", ["global X; X = 2", "globals()['X'] = 2", "exec('X = 2')"])
def test_reaching_for_the_namespace_takes_the_module(package, line):
    package.write("a", f"X = 1\nY = 2\ndef f(): {line}\ndef g(): pass\n")
    assert package.reached("a:f") == {"a:f", "a:g", "a:X", "a:Y"}
    assert package.reached("a:g") == {"a:g"}


def test_blocks_for_type_checkers_do_not_count(package):
    package.write("b", "print('it runs')\nclass T: pass\n")
    with_block = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from saeflow.b import T\n"
        "def f(x: T) -> T: return x\n"
    )
    without = "from typing import TYPE_CHECKING\ndef f(x): return x\n"
    assert same(package, "a", with_block, without, "a:f")
    assert package.reached("a:f") == {"a:f"}
    other = with_block.replace("def f", "else:\n    T = 1\ndef f")
    package.write("a", other.replace("return x", "return T"))
    assert package.reached("a:f") == {"a:f", "a:T"}


CLASSES = {
    "a base": "class C(B): pass",
    "a decorator": "@B\nclass C: pass",
    "a default": "class C:\n    def m(self, x=B): pass",
    "a method": "class C:\n    def m(self): return B",
    "a value": "class C:\n    x = B",
    "an annotation": "class C:\n    x: B",
    "a quoted annotation": "class C:\n    x: 'list[B]'",
    "a keyword": "class C(metaclass=B): pass",
    "a class inside": "class C:\n    class D(B): pass",
}


@pytest.mark.parametrize("text", CLASSES.values(), ids=CLASSES)
def test_a_class_is_one_definition(package, text):
    package.write("a", f"class B: pass\n{text}\nclass Unused: pass\n")
    assert package.reached("a:C") == {"a:B", "a:C"}


UNCHANGED = {
    "comment": ("y = x", "y = x  # the same"),
    "docstring": ("    return x", '    """Say it."""\n    return x'),
    "layout": ("return x + K", "return (\n        x +\n        K\n    )"),
    "argument": ("x=1", "x: int = 1"),
    "returns": ("def f(x=1):", "def f(x=1) -> Missing:"),
    "local": ("y = x", "y: int = x"),
    "constant": ("K = 3", "K: Final = 3"),
    "order": ("K = 3\n\n\ndef g(): return K\n", "def g(): return K\n\n\nK = 3\n"),
    "beside": ("K = 3", "K = 3\nUNUSED = 4\ndef unused(): return f() + UNUSED"),
    "unused import": ("K = 3", "import json\nK = 3"),
    "nothing": ("return x", "pass\n    return x"),
    "future": ("K = 3", "from __future__ import annotations\nK = 3"),
}
FUNCTION = "K = 3\n\n\ndef g(): return K\n\n\ndef f(x=1):\n    y = x\n    return x + K + g() + y\n"


@pytest.mark.parametrize(("old", "new"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_does_not_run_changes_nothing(package, old, new):
    assert old in FUNCTION
    assert same(package, "a", FUNCTION, FUNCTION.replace(old, new), "a:f")


CHANGED = {
    "default": ("x=1", "x=2"),
    "constant": ("K = 3", "K = 3.0"),
    "string": ("return K\n", "return 'K'\n"),
    "operator": ("x + K", "x - K"),
    "statement": ("    y = x\n", "    y = x\n    y = 0\n"),
    "argument": ("def f(x=1)", "def f(x=1, z=2)"),
    "decorator": ("def f", "@property\ndef f"),
    "asynchronous": ("def f", "async def f"),
    "global": ("    y = x", "    global z\n    y = x"),
}


@pytest.mark.parametrize(("old", "new"), CHANGED.values(), ids=CHANGED)
def test_what_runs_changes_the_digest(package, old, new):
    assert old in FUNCTION
    assert not same(package, "a", FUNCTION, FUNCTION.replace(old, new), "a:f")


def test_annotations_count_where_somebody_may_read_them(package):
    for text in [
        "class f:\n    x: int = 1\n",
        "class f:\n    if 1:\n        x: int = 1\n",
        "def f():\n    class C:\n        x: int = 1\n    return C\n",
        "@validated\ndef f(x: int): pass\n",
        "@library.validated(1)\ndef f(x) -> int: pass\n",
    ]:
        assert not same(package, "a", text, text.replace("int", "float"), "a:f"), text
    for text in [
        "class f:\n    def m(self, x: int) -> int:\n        y: int = 1\n",
        "@cache\ndef f(x: int): pass\n",
        "class f:\n    @property\n    def x(self) -> int: return 1\n",
        "def f():\n    def g(x: int): pass\n    return lambda: g\n",
    ]:
        assert same(package, "a", text, text.replace("int", "float"), "a:f"), text


def test_neutral_modules_end_the_search(package):
    package.write("errors", "import saeflow.b\nclass E: pass\n")
    package.write("work", "from saeflow.a import g\ndef hold(): g()\n")
    package.write("b", "print(1)\n")
    package.write(
        "a",
        "from saeflow import work\nfrom saeflow.errors import E\n"
        "def f(): work.hold(work, E)\ndef g(): pass\n",
    )
    assert package.reached("a:f") == {"a:f"}


def test_neutral_modules_exist_and_say_why():
    root = code.Path(code.__file__).parent
    for name, reason in code.NEUTRAL.items():
        assert root.joinpath(*name.split(".")[1:]).with_suffix(".py").is_file()
        assert reason


def test_a_script_begins_at_its_main(package):
    package.write("a", "def f(x): return x\ndef g(): pass\n")
    package.write("errors", "class E: pass\n")
    package.script("train.py", SCRIPT + "\ndef unused(): pass\n")
    assert package.reached("scripts/train.py:main") == {
        "scripts/train.py:main",
        "scripts/train.py:<import>",
        "a:f",
    }


def test_loops_of_imports_and_of_calls_end(package):
    package.write("a", "from saeflow import b\ndef f(): b.g()\n")
    package.write("b", "from saeflow import a\nfrom saeflow.b import z\ndef g(): a.f(a.z)\n")
    assert {"a:f", "b:g"} <= package.reached("a:f")
    package.write("a", "from saeflow.b import x\n")
    package.write("b", "from saeflow.a import x\n")
    assert package.reached("a:x") == set()


@pytest.mark.parametrize("root", ["saeflow.none", "saeflow.a:none", "scripts/none.py:main", ""])
def test_a_root_that_does_not_exist_is_an_error(package, root):
    package.write("a", "X = 1\n")
    with pytest.raises(SaeflowError, match="there is no"):
        package.source().closure([root])


def test_a_relative_import_is_an_error(package):
    package.write("a", "from .b import g\ndef f(): g()\n")
    with pytest.raises(SaeflowError, match=r"a\.py:1: the import is relative"):
        package.closure("a:f")


def test_one_hash_stands_for_the_closure_of_several_roots(package):
    package.write("a", "def f(): return 1\ndef g(): return 2\n")
    source = package.source()
    both = source.digest(["saeflow.a:f", "saeflow.a:g"])
    assert both == source.digest(iter(["saeflow.a:g", "saeflow.a:f"]))
    assert both == source.digest(["saeflow.a"])
    assert len({both, source.digest(["saeflow.a:f"]), source.digest(["saeflow.a:g"])}) == 3


def test_files_are_all_that_were_looked_at(package):
    package.write("pack", "")
    package.write("pack.b", "def g(): pass\n")
    package.write("c", "def g(): pass\n")
    package.write("errors", "class E: pass\n")
    package.write("a", "from saeflow.pack import b\nimport saeflow.errors\ndef f(x): pass\n")
    package.script("train.py", SCRIPT)
    files = package.source().files(["scripts/train.py:main"])
    assert sorted(files) == [
        "scripts/train.py",
        "workflow/saeflow/__init__.py",
        "workflow/saeflow/a.py",
        "workflow/saeflow/pack/__init__.py",
        "workflow/saeflow/pack/b.py",
    ]
    for name, digest in files.items():
        assert digest == sha256_file(package.root.parent / name)


class TestCache:
    @pytest.fixture
    def cache(self, package, tmp_path):
        package.write("a", "from saeflow.b import g\ndef f(): g()\n")
        package.write("b", "X = {}\nX[1] = 2\ndef g(): import json\n")
        return tmp_path / "cache"

    def digests(self, package, cache):
        source = package.source(cache)
        return source.closure(["saeflow.a:f"]), source.files(["saeflow.a:f"])

    def test_files_are_parsed_once(self, package, cache, monkeypatch):
        first = self.digests(package, cache)
        assert first == self.digests(package, None)
        monkeypatch.setattr(code, "analyse", lambda *_: pytest.fail("it was parsed"))
        assert self.digests(package, cache) == first

    def test_an_edit_is_seen(self, package, cache, monkeypatch):
        first, _ = self.digests(package, cache)
        package.write("b", "X = {}\nX[1] = 2\ndef g(): return 2\n")
        parsed = []
        monkeypatch.setattr(
            code, "analyse", lambda *given: parsed.append(given[1].name) or analyse(*given)
        )
        analyse = code.definitions.analyse
        second, _ = self.digests(package, cache)
        assert {name for name in first if first[name] != second[name]} == {"saeflow.b:g"}
        assert parsed == ["b.py"]

    @pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"abc\n{}", b'{"a": 1}'])
    def test_damage_counts_as_none(self, package, cache, damage):
        first = self.digests(package, cache)
        (file,) = cache.iterdir()
        file.write_bytes(damage)
        assert self.digests(package, cache) == first
        whole = file.read_bytes()
        file.write_bytes(whole[:-5] + b"1" + whole[-4:])
        assert self.digests(package, cache) == first

    def test_a_cache_of_other_reading_counts_as_none(self, package, cache, monkeypatch):
        first = self.digests(package, cache)
        (file,) = cache.iterdir()
        head, text = file.read_text().split("\n", 1)
        other = text.replace(first[0]["saeflow.b:g"], "0" * 64)
        assert other != text
        file.write_text(f"{head}\n{other}")
        assert self.digests(package, cache) == first

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_directory_that_cannot_be_written_to_does_no_harm(self, package, cache):
        cache.mkdir(mode=0o500)
        assert self.digests(package, cache) == self.digests(package, None)

    def test_a_place_that_is_no_directory_does_no_harm(self, package, cache):
        cache.write_text("a file")
        assert self.digests(package, cache) == self.digests(package, None)
