import http.server
import threading

import pytest

from saeflow.cli import machine


@pytest.fixture
def hub(monkeypatch):
    """Return a function that starts a hub answering with one status."""
    servers = []

    def start(status):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield start
    for server in servers:
        server.shutdown()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (503, False)])
def test_the_hub_answers_if_it_serves_or_refuses(hub, status, answers):
    hub(status)
    assert machine.hub_answers() is answers


def test_no_hub_is_no_answer(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert machine.hub_answers() is False


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("yes", True), ("0", False)])
def test_the_users_wish_to_be_offline_is_heard(monkeypatch, value, offline):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert machine.is_offline() is offline


def test_a_version_other_than_the_locked_one_is_shown_with_it(monkeypatch):
    found = {"numpy": "2.4.6", "torch": "2.13.0+cpu", "zarr": "3.0.0"}
    monkeypatch.setattr(machine, "installed_version", found.get)
    locked = {"numpy": "2.4.6", "torch": "2.13.0", "zarr": "3.1.6"}
    monkeypatch.setattr(machine, "locked_versions", lambda: locked)
    rows = dict(machine.versions())
    assert rows["numpy"] == "2.4.6"
    assert rows["torch"] == "2.13.0+cpu"
    assert rows["zarr"] == "3.0.0   (requirements.lock has 3.1.6)"
    assert rows["pandas"] == "missing"
    assert "pandas" in machine.missing_packages()
    assert "zarr" not in machine.missing_packages()


def test_the_lock_file_is_read(monkeypatch, tmp_path):
    (tmp_path / "lock").write_text("# a comment\nnumpy==2.4.6\n\nzarr==3.1.6  # why\n")
    monkeypatch.setattr(machine, "LOCK_FILE", tmp_path / "lock")
    assert machine.locked_versions() == {"numpy": "2.4.6", "zarr": "3.1.6"}
    monkeypatch.setattr(machine, "LOCK_FILE", tmp_path / "none")
    assert machine.locked_versions() == {}


def test_the_space_of_a_directory_to_be_made_is_that_above_it(tmp_path):
    assert machine.existing(tmp_path / "a" / "b") == tmp_path
    assert machine.free_bytes(tmp_path / "a" / "b") > 0


def test_a_place_that_can_be_written_has_no_problem_and_keeps_no_trace(tmp_path):
    assert machine.writing_problem(tmp_path / "results") is None
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    assert machine.writing_problem(tmp_path) == f"{tmp_path}: Read-only file system"


def test_slurm_is_described_by_its_commands(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.slurm() == "not here"
    for name in ("sbatch", "squeue"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert machine.slurm().startswith("sbatch, squeue (missing: sacct, scancel)")


def test_a_gpu_that_torch_cannot_use_is_mentioned(monkeypatch, tmp_path):
    monkeypatch.setenv("SAEFLOW_DEVICE", "cpu")
    monkeypatch.setattr(machine, "_nvidia_gpus", lambda: None)
    assert machine.device() == "cpu"
    monkeypatch.setattr(machine, "_nvidia_gpus", lambda: "NVIDIA X")
    assert machine.device().startswith("cpu (NVIDIA X is here, but ")


def test_limits_of_a_container_are_told(monkeypatch):
    limits = {"cpu.max": "150000 100000", "memory.max": str(1 << 20)}
    monkeypatch.setattr(machine, "_cgroup", limits.get)
    assert machine.cores().endswith("limited to the time of 1.5")
    assert machine.memory().endswith("limited to 1.0 MiB")
    monkeypatch.setattr(machine, "_cgroup", lambda _: "max")
    assert "limited" not in machine.memory()
