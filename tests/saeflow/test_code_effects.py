"""What a file runs when it is imported, and what that makes of its definitions."""

import pytest

from made_up_package import Package, same


@pytest.fixture
def package(tmp_path):
    return Package(tmp_path)


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
