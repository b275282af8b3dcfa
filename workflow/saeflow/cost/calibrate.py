"""Measure this machine's speeds in a few seconds, with the library's own code at a small size.

Random weights and data: speed does not depend on what a model has learned, but for sparse codes,
which are denser at the start of a training than at its end. Read `calibrate`.
"""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow.cost.shapes import Shape
from saeflow.cost.speeds import Speeds
from saeflow.cost.wanted import Wanted
from saeflow.plan.job import SOURCE_ROOT

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_DISK_BYTES = 96 << 20
_FLUSH_BYTES = 32 << 20
_WARM_STEPS, _STEPS = 2, 4
_BUDGET_S = 1.5
_VOCABULARY = 512  # of a model whose head is not run: the embedding costs nothing


_BUSY = 0.5  # load per core from which on the time of the clock says little
_GAIN = 0.85  # n threads do the work of so many: n to this power
_ABOUT = {
    "forward": "{1} blocks of width {0.d_model}",
    "training": "training of {0.n_layers} blocks of width {0.d_model}",
    "steps": "a step of {0[architecture]}, width {1}",
}

Clock = Callable[[], float]


def calibrate(
    wanted: Wanted, results: Path, threads: int, told: Callable[[str], None] = logger.info
) -> Speeds:
    """Measure what ``wanted`` asks for.

    Parameters
    ----------
    wanted
        What to measure.
    results
        The directory whose disk is written to, for a moment.
    threads
        Threads of a job that uses all cores.
    told
        Called with a line before each measurement.
    """
    from saeflow.device import let_waiting_threads_sleep, pick

    let_waiting_threads_sleep()  # as jobs do
    import torch

    speeds = Speeds(threads)
    clock = time.perf_counter
    if pick().type == "cpu" and os.getloadavg()[0] > _BUSY * threads:
        clock = time.process_time
        speeds.notes.append(
            f"other processes keep this machine busy (load {os.getloadavg()[0]:.1f}): speeds are"
            " of one core's own time, as if it were quiet"
        )
    told("start of a process")
    speeds.start = _start_s(quiet=clock is time.process_time)
    told("disk")
    speeds.disk = _disk_rate(results)
    before = torch.get_num_threads()
    try:
        for kind, found, n, measure in (
            ("forward", speeds.blocks, threads, forward_rate),
            ("training", speeds.training, threads, training_rate),
            ("steps", speeds.steps, speeds.half, step_seconds),
        ):
            gain = 1.0
            if clock is time.process_time:
                n, gain = 1, n**_GAIN
            torch.set_num_threads(n)
            for key, arguments in getattr(wanted, kind).items():
                told(_ABOUT[kind].format(*arguments))
                _try(speeds, found, key, lambda a=arguments, m=measure: m(*a, clock))
                if key in found:
                    found[key] *= 1 / gain if kind == "steps" else gain
    finally:
        torch.set_num_threads(before)
    return speeds


def _try(speeds: Speeds, found: dict[str, float], key: str, measure: Callable[[], float]) -> None:
    """Keep a measurement; where it fails, the assumed speed stays and the reason is told."""
    try:
        found[key] = measure()
    except Exception as error:  # an estimate is no reason to fail: what is unusual is assumed
        logger.debug("not measured: %s", key, exc_info=True)
        speeds.failed.append(f"{type(error).__name__}: {str(error).splitlines()[0][:120]}")


def _start_s(*, quiet: bool) -> float:
    """Return the seconds until a process has what most jobs import; quiet: its own time alone."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    code = "import torch, zarr; from transformers import AutoModelForCausalLM, GPTNeoXForCausalLM"
    before = _children_s()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    return _children_s() - before if quiet else time.perf_counter() - started


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _disk_rate(results: Path) -> float:
    """Return the bytes per second that reach the disk, flushed."""
    directory = next(p for p in (results.absolute(), *results.absolute().parents) if p.is_dir())
    block = os.urandom(1 << 20) * (_FLUSH_BYTES >> 20)
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        started = time.perf_counter()
        for _ in range(_DISK_BYTES // _FLUSH_BYTES):
            file.write(block)
            os.fsync(file.fileno())
        return _DISK_BYTES / (time.perf_counter() - started)


def random_model(shape: Shape, n_blocks: int, vocab_size: int) -> torch.nn.Module:
    """Return a model of a shape with random weights and only its first blocks."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    settings = {k: v for k, v in shape.config.items() if k not in ("model_type", "auto_map")}
    for name in ("num_hidden_layers", "n_layer", "num_layers"):
        if name in settings:
            settings[name] = n_blocks
    settings.pop("layer_types", None)
    settings |= {"vocab_size": vocab_size, "bos_token_id": 0, "eos_token_id": 1, "use_cache": False}
    config = CONFIG_MAPPING[shape.config["model_type"]](**settings)
    return AutoModelForCausalLM.from_config(config).eval()


def forward_rate(
    shape: Shape, n_blocks: int, length: int, batch_tokens: int, clock: Clock = time.perf_counter
) -> float:
    """Return the tokens per second through one block: of the first ones, stored as float16."""
    import torch

    from saeflow.device import pick
    from saeflow.models.hooks import Hook
    from saeflow.models.slices import run_until

    model = random_model(shape, n_blocks, _VOCABULARY).to(pick())
    hooks = [Hook("resid_post", block) for block in range(n_blocks)]
    n = max(1, batch_tokens // length)
    while True:
        ids = torch.randint(2, _VOCABULARY, (n, length), device=pick())

        def run(ids: torch.Tensor = ids) -> None:
            for x in run_until(model, ids, None, hooks).values():
                x.to(torch.float16).cpu()

        small = ids[: max(1, n // 8)]
        first = _timed(lambda small=small: run(small), 1, clock)
        if first * 8 < 4 * _BUDGET_S or n == 1:
            break
        n = max(1, n // 4)  # a whole batch would take too long to measure
    return n_blocks * n * length / _timed(run, 3, clock)


def training_rate(
    shape: Shape, settings: Mapping[str, Any], length: int, clock: Clock = time.perf_counter
) -> float:
    """Return the tokens per second of a model's training."""
    import torch
    import torch.nn.functional as F

    from saeflow.device import pick
    from saeflow.models.neox import build_neox
    from saeflow.models.training_plan import training_plan

    plan = training_plan(settings)
    model = build_neox(
        plan, vocab_size=shape.vocab_size, context_length=length, bos_id=0, eos_id=0
    ).to(pick())
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    n = max(1, plan.batch_tokens // length)
    ids = torch.randint(0, shape.vocab_size, (n, length), device=pick())

    def step() -> None:
        logits = model(input_ids=ids).logits[:, :-1]
        F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return n * length / _timed(step, 3, clock)


def step_seconds(settings: Mapping[str, Any], d_in: int, clock: Clock = time.perf_counter) -> float:
    """Return the seconds of one training step of an SAE on random rows."""
    import torch

    from saeflow.device import pick
    from saeflow.sae.steps.step import Batch, Workspace
    from saeflow.sae.training.train import SAETask
    from saeflow.sae.training.trainee import Trainee
    from saeflow.work import hold

    settings = {**settings, "seed": 0, "tokens": None, "epochs": None}
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as place, hold(Path(place) / "sae.json", "0" * 16) as work:
        task = SAETask(settings, rows=_Rows(d_in), header={"hook": "calibration"})
        trainee = Trainee(work, task, task.run, d_in=task.d_in, d_sae=task.d_sae)
        n = task.run.batch_size
        trainee.plan(n * (_WARM_STEPS + 8 * _STEPS))
        batches = [Batch(torch.randn(n, d_in, generator=generator).to(pick())) for _ in range(2)]
        trainee.resume(pick())
        workspace = Workspace()
        steps = iter(range(1_000_000))
        for _ in range(_WARM_STEPS - 1):
            trainee.train(batches[0], workspace)
        return _timed(lambda: trainee.train(batches[next(steps) % 2], workspace), _STEPS, clock)


class _Rows:
    """Stands for the rows of a store: standard normal ones, of a width that matters alone."""

    def __init__(self, d_in: int) -> None:
        import torch

        from saeflow.sae.training.rows import Moments

        self.d_in = self.d_out = d_in
        # a recipe may scale its activations
        self.moments = self.target_moments = Moments(1, torch.zeros(d_in), d_in**0.5, d_in)


def _timed(run: Callable[[], object], most: int, clock: Clock) -> float:
    """Return the seconds of a call, the best of a few after one that is not counted."""
    run()
    _wait()
    times: list[float] = []
    while not times or (len(times) < most and sum(times) < _BUDGET_S):
        started = clock()
        run()
        _wait()
        times.append(clock() - started)
    return min(times)


def _wait() -> None:
    """Let the device finish what it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
