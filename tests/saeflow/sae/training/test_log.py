"""The training log."""

from __future__ import annotations

import csv

import pytest

from saeflow.sae.training.log import TrainLog

STEPS = [
    {"n": 4, "loss": 1.0, "penalty": 0.5, "error": 8.0, "variance": 16.0, "active": 12},
    {"n": 4, "loss": 3.0, "penalty": 0.1, "error": 2.0, "variance": 4.0, "active": 4},
    {"n": 4, "loss": 5.0, "penalty": 0.0, "error": 4.0, "variance": 0.0, "active": 0},
]


def add(log, i, last=False):
    row = {"step": i + 1, "tokens": 4 * (i + 1), "dead": 2, "learning_rate": 0.1}
    log.add(STEPS[i], row, last=last)


def read(path):
    with (path / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_row_forms_each_ratio_once_from_sums(tmp_path):
    log = TrainLog(tmp_path, every=8, d_in=2)
    log.start()
    for i in range(3):
        add(log, i, last=i == 2)
    log.flush()
    first, second = read(tmp_path)
    assert (first["step"], first["tokens"], second["step"]) == ("2", "8", "3")
    assert float(first["loss"]) == 2.0 and float(first["penalty"]) == pytest.approx(0.3)
    assert float(first["mse"]) == 10 / (8 * 2)
    assert float(first["fvu"]) == 10 / 20
    assert float(first["l0"]) == 16 / 8
    assert float(second["loss"]) == 5.0 and float(second["fvu"]) == 0.0


def test_a_log_continues_from_its_state_to_the_same_bytes(tmp_path):
    whole, parts = tmp_path / "a", tmp_path / "b"
    for directory in (whole, parts):
        directory.mkdir()
    log = TrainLog(whole, every=8, d_in=2)
    log.start()
    for i in range(3):
        add(log, i, last=i == 2)
    log.flush()
    log = TrainLog(parts, every=8, d_in=2)
    log.start()
    add(log, 0)
    state = log.state()
    add(log, 1)
    add(log, 2, last=True)
    log.flush()  # a killed run wrote on after its checkpoint
    log = TrainLog(parts, every=8, d_in=2)
    assert log.resume(state)
    add(log, 1)
    add(log, 2, last=True)
    log.flush()
    assert (whole / "log.csv").read_bytes() == (parts / "log.csv").read_bytes()


def test_a_log_that_lost_rows_cannot_be_continued(tmp_path):
    log = TrainLog(tmp_path, every=4, d_in=2)
    log.start()
    add(log, 0)
    state = log.state()
    (tmp_path / "log.csv").write_text("step\n")
    assert not TrainLog(tmp_path, every=4, d_in=2).resume(state)
