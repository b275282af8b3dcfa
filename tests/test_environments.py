"""The lock file, pyproject.toml and the conda environments say the same."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.result import source

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
AROUND = ("files", "inventory", "logs", "script", "task", "work")
"""Modules that every script imports and no digest has."""
# Parts of torch that only its builds for GPUs ask for, and that pip brings with it.
OF_TORCH = re.compile(r"nvidia-|cuda-|triton")


def pins(lines):
    """Return canonical name -> version of lines "name==version"."""
    found = {}
    for line in lines:
        name, _, version = line.partition("==")
        assert version, f"{line!r} is not a pin"
        found[canonicalize_name(name)] = version
    return found


def lock_lines():
    lines = (line.partition("#")[0].strip() for line in LOCK.read_text().splitlines())
    return [line for line in lines if line]


def environment(path):
    *conda, pip = yaml.safe_load(path.read_text())["dependencies"]
    assert all(not re.search(r"[=<>]", item) or item.startswith("python ") for item in conda)
    return pins(pip["pip"])


def test_the_lock_file_holds_only_pins():
    for line in lock_lines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line


def test_the_lock_file_names_no_registry_and_no_place_on_a_disk():
    text = LOCK.read_text()
    assert not re.search(r"https?:|file:|index-url|find-links| @ |(^|\s)/", text)


def test_every_dependency_is_locked_within_its_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = pins(lock_lines())
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not in the lock file"
        assert locked[name] in requirement.specifier, f"{requirement} but {locked[name]} is locked"


def test_what_locked_packages_need_is_locked_too():
    assert missing_requirements(pins(lock_lines())) == set()


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_every_pin_of_an_environment_is_that_of_the_lock_file(path):
    locked = pins(lock_lines())
    for name, version in environment(path).items():
        assert locked.get(name) == version, name


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_leaves_nothing_for_pip_to_choose(path):
    assert missing_requirements(environment(path)) == set()


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_has_what_its_rules_scripts_import(path, roots):
    present = environment(path)
    for script in scripts_in(path.name):
        for package in sorted(imported_packages(script, roots)):
            assert package in present, f"{script.name} imports {package}"


def test_no_drawing_library_is_in_the_environment_that_trains():
    drawing = environment(ROOT / "envs" / "figures.yaml").keys() & {"matplotlib", "pillow"}
    assert drawing == {"matplotlib", "pillow"}
    assert not drawing & environment(ROOT / "envs" / "torch.yaml").keys()


def missing_requirements(packages):
    """Return what the packages require, as installed here, and is not among them."""
    missing = set()
    for package in packages:
        try:
            requirements = metadata.requires(package) or []
        except metadata.PackageNotFoundError:
            continue  # locked for another extra than the tests need
        for requirement in map(Requirement, requirements):
            name = canonicalize_name(requirement.name)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and name not in packages and not OF_TORCH.match(name):
                missing.add(name)
    return missing


def scripts_in(environment_name):
    """Return the scripts of the rules that run in a conda environment."""
    found = []
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            if environment_name in rule:
                found += re.findall(r"/(\w+\.py)", rule)
    assert found
    return [ROOT / "scripts" / name for name in found]


@pytest.fixture(scope="module")
def roots():
    """Where the code of each rule begins, with what the default study loads by name."""
    found = {}
    for result in Outputs(Plan(resolve(read_config(ROOT / "config.yaml")))).wanted:
        found.setdefault(result.rule, set()).update(result.roots)
    return found


def imported_packages(script, roots):
    """Return the distributions that a script's own code imports, also inside functions."""
    main = f"scripts/{script.name}:main"
    files = {ROOT / name for name in source().files({main, *roots.get(script.stem, ())})}
    files |= {ROOT / f"workflow/saeflow/{name}.py" for name in AROUND}
    names = {name for file in files for name in top_level_imports(file)}
    distributions = metadata.packages_distributions()
    return {
        canonicalize_name(distributions[name][0]) for name in names if name in distributions
    } - {"saeflow"}


def top_level_imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            continue
        for name in names:
            if name.partition(".")[0] not in sys.stdlib_module_names:
                yield name.partition(".")[0]
