"""The generated pages, and the sizes that the house rules set."""

import importlib.util
import re
from pathlib import Path
from typing import get_args

import pytest

from saeflow import paths
from saeflow.config.schema import is_section, kinds_of, type_of, value_of
from saeflow.config.sections import Config, section_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_up_to_date(generate):
    assert generate.main(["--check"]) == 0, "run `make docs`"


def test_an_edited_page_is_noticed_and_written_anew(generate, tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    texts = generate.pages()
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: texts)
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "docs" / "rules.md").write_text("else")
    assert generate.main(["--check"]) == 1
    assert "docs/rules.md" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert (tmp_path / "docs" / "rules.md").read_text() == texts["rules.md"]


def test_the_configuration_page_has_every_key_with_a_description(generate):
    page = generate.configuration_page()

    def collect(annotation):
        value = value_of(annotation)
        if is_section(value):
            for key, field in value.model_fields.items():
                yield key
                yield from collect(type_of(field))
        for below in kinds_of(annotation).values() or get_args(value):
            yield from collect(below)

    keys = {*collect(Config), *collect(section_of("suppression", where=""))}
    assert len(keys) > 100
    for key in keys:
        assert re.search(rf"[`> #]{key}[`\n]", page), key
    for section in Config.model_fields:
        assert f"\n## {section}\n" in page


def test_the_rules_page_has_every_rule_and_every_wildcard(generate):
    page = generate.rules_page()
    for file in (ROOT / "rules").glob("*.smk"):
        for name in re.findall(r"^rule (\w+):", file.read_text(), flags=re.M):
            assert f"| `{name}` |" in page
    for wildcard in paths.WILDCARDS:
        assert f"| `{wildcard}` |" in page


def test_rules_scripts_and_places_of_passes_are_the_same(generate):
    rules = set(generate.all_rules())
    assert rules == {path.stem for path in (ROOT / "scripts").glob("*.py")} == set(paths.PASSES)


def test_every_page_that_is_linked_exists():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("pattern", "most"),
    [("Snakefile", 90), ("rules/*.smk", 200), ("scripts/*.py", 60), ("workflow/**/*.py", 400)],
)
def test_files_stay_small_enough_to_read(pattern, most):
    files = list(ROOT.glob(pattern))
    assert files
    for file in files:
        n_lines = len(file.read_text().splitlines())
        assert n_lines <= most, f"{file.relative_to(ROOT)} has {n_lines} lines"
