import pytest

from saeflow.plan import job as job_module
from saeflow.plan.job import Job


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory with scripts of its own, so that no real code matters."""
    monkeypatch.chdir(tmp_path)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for rule in ("train_sae", "plot_suppression", "harvest_activations"):
        (scripts / f"{rule}.py").write_text("RULE = 1\n")
    monkeypatch.setattr(job_module, "SCRIPTS", scripts)
    return tmp_path


@pytest.fixture
def make_job(place):
    """Return a function that makes a job with bulk (default) or without."""

    def make(name="relu", *, rule="train_sae", suffix="", files=(), inputs=None, **settings):
        return Job(
            rule=rule,
            output=place.relative_to(place) / f"results/saes/{name}/sae.json",
            settings=settings,
            inputs=inputs or {},
            suffix=suffix,
            files=files,
            shared_pass=("train", "hook"),
        )

    return make
