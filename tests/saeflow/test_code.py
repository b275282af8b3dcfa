"""The rules of `saeflow.code`, each on a package of a few lines."""

import os

import pytest

from saeflow import code
from saeflow.code import Source
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


class Package:
    """Made-up source: modules by name ("a", "pack.b"; "pack" is a package where it has modules)."""

    def __init__(self, place):
        self.root, self.scripts = place / "workflow", place / "scripts"
        self.write("", "")

    def write(self, module, text):
        base = self.root.joinpath("saeflow", *filter(None, module.split(".")))
        base.parent.mkdir(parents=True, exist_ok=True)
        is_package = not module or base.is_dir() or module.endswith("pack")
        path = base / "__init__.py" if is_package else base.with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def script(self, name, text):
        self.scripts.mkdir(exist_ok=True)
        (self.scripts / name).write_text(text)

    def source(self, cache=None):
        return Source(self.root, self.scripts, cache)

    def closure(self, *roots):
        return self.source().closure([_full(root) for root in roots])

    def reached(self, *roots):
        """What is reached, without "saeflow."."""
        return {name.removeprefix("saeflow.") for name in self.closure(*roots)}


def _full(root):
    return root if root.startswith("scripts/") else f"saeflow.{root}"


def same(package, module, before, after, root):
    """Whether two texts of a module have the same closure from a root."""
    package.write(module, before)
    closure = package.closure(root)
    package.write(module, after)
    return package.closure(root) == closure


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


EFFECTS = [
    "D['a'] = 1",
    "D.update(a=1)",
    "D |= {'a': 1}",
    "D.a = 1",
    "if D:\n    D2 = 1",
    "try:\n    import fast\nexcept ImportError:\n    fast = None",
    "for i in range(3):\n    D[i] = 1",
    "with open('x') as h:\n    pass",
    "del D",
    "print(D)",
    "assert D",
    "E = (D2 := 3)",
    "D = {}\nD = {1: 2}",
    "def D(): pass\nD = 1",
]


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_a_file_runs_belongs_to_all_of_it_and_to_all_that_import_it(package, effect):
    package.write("pack", "")
    package.write("pack.b", "D = {}\ndef g(): pass\n")
    package.write("c", "from saeflow.pack.b import g\ndef h(): pass\ndef i(): g()\n")
    package.write("a", "from saeflow import c\ndef f(): c.h()\n")
    package.write("late", "def f():\n    import saeflow.pack.b\n")
    roots = ["pack.b:g", "c:h", "c:i", "a:f", "late:f"]
    before = {root: package.closure(root) for root in roots}
    assert not any("<import>" in name for name in before["a:f"])
    package.write("pack.b", f"D = {{}}\n{effect}\ndef g(): pass\n")
    for root in roots:
        assert set(package.reached(root)) >= {"pack.b:<import>"}, root
    package.write("pack.b", f"D = {{}}\n{effect}\n{effect}\ndef g(): pass\n")
    again = {root: package.closure(root) for root in roots}
    package.write("pack.b", f"D = {{}}\n{effect}\ndef g(): pass\n")
    assert all(again[root] != package.closure(root) for root in roots)


def test_what_a_package_runs_belongs_to_its_modules(package):
    package.write("pack", "import os\nos.environ['A'] = '1'\n")
    package.write("pack.b", "def g(): pass\n")
    assert package.reached("pack.b:g") == {"pack.b:g", "pack:<import>"}


def test_what_effects_name_is_reached(package):
    package.write("b", "def g(): return h()\ndef h(): pass\n")
    package.write("a", "from saeflow.b import g\nD = {}\nD['g'] = g\ndef f(): pass\n")
    assert package.reached("a:f") == {"a:f", "a:<import>", "a:D", "b:g", "b:h"}


def test_a_name_bound_twice_is_found_among_the_effects(package):
    package.write("b", "X = 1\nX += 1\nY = 1\n")
    package.write("a", "from saeflow import b\ndef f(): return b.X\n")
    assert package.reached("a:f") == {"a:f", "b:<import>"}
    package.write("b", "if 1:\n    def g(): pass\nelse:\n    def g(): return 1\nY = 1\n")
    package.write("a", "from saeflow.b import g\ndef f(): return g()\n")
    assert package.reached("a:f") == {"a:f", "b:<import>"}


def test_a_definition_moved_past_an_effect_is_another(package):
    before = "D = {}\nE = len(D)\nD['a'] = 1\ndef f(): return E\n"
    after = "D = {}\nD['a'] = 1\nE = len(D)\ndef f(): return E\n"
    assert not same(package, "a", before, after, "a:f")


REGISTRY = """
ALL, BY_NAME = [], {}
class C:
    known = []
    def put(self): pass
    def build(): ALL.append(1)
O = C()
def add(f): ALL.append(f); return f
def put(f): BY_NAME[f] = f
def mark(f): C.last = f
def replace(f):
    from saeflow import b
    b.O = f
def call(f): O.put()
def deeper(f): return [add(f) for _ in "ab"]
def declare(f):
    global ALL
    ALL = [f]
def pure(f):
    found = []
    found.append(f)
    return found, len(ALL), BY_NAME.get(f), Local(f)
class Local:
    def __init__(self, f): self.f, self.g = f, []
"""
REGISTERS = [
    "@pure\ndef g(): pass",
    "@pure\nclass g: pass",
    "@Local(1)\ndef g(): pass",
    "class g:\n    @pure\n    def x(self): pass",
    "def g(x=add(1)): pass",
    "class g:\n    x = add(1)",
    "g = [deeper(i) for i in 'ab']",
    "g = C.build()",
    "g = O.put()",
    "g = ALL.pop()",
    *(f"g = {name}(1)" for name in ("add", "put", "mark", "replace", "call", "deeper", "declare")),
]
ONLY_DEFINES = [
    "g = pure(1)",
    "g = Local(1)",
    "g = lambda: add(1)",
    "g = BY_NAME.get(1)",
    "def g(): add(1)",
    "class g(C): pass",
    "class g:\n    x = pure(1)\n    def m(self): add(1)",
]


@pytest.mark.parametrize("line", REGISTERS + ONLY_DEFINES)
def test_a_definition_whose_making_may_change_another_belongs_to_all_that_import_it(package, line):
    package.write("b", REGISTRY)
    names = "ALL, BY_NAME, C, O, Local, add, put, mark, replace, call, deeper, declare, pure"
    package.write("a", f"from saeflow.b import {names}\n{line}\ndef f(): pass\n")
    package.write("c", "import saeflow.a\ndef f(): pass\n")
    for root in ("a:f", "c:f"):
        assert ("a:g" in package.reached(root)) == (line in REGISTERS)


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
