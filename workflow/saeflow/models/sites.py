"""The sites of a model's blocks, found by what they are: the parts that add up to the stream.

Whether a family norms a part's output before adding it (Gemma 2, OLMo 2, GLM-4), multiplies it
(Granite) or returns it with the stream already added (BLOOM) is not read off names. In a pass of
a few tokens, a module's output is ``attn_out`` or ``mlp_out`` if the stream is the sum with it,
and stays so when it is exchanged for something else. A site that no module of a block satisfies
is not offered there. Read `find_sites`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.hooks import SITES
from saeflow.models.layout import forward_arguments, probe_ids
from saeflow.models.points import Point, get_input, get_output

_MLP = re.compile(r"mlp|ffn?\b|ffw|feed_?forward|moe|expert|(^|\.)fc", re.IGNORECASE)
"""What the paths of modules say that do not mix tokens; the other part of a block is attention."""

# Sums of float32 numbers are held to their rounding, not to a share of the stream.
_ROUNDING = 16 * torch.finfo(torch.float32).eps
_LARGE = 1e4

_NO_MODULE = "no module's output is what is added to the stream there"
_NO_MIDDLE = "nothing reads the stream between the attention and the MLP"
_PARALLEL = "the attention and the MLP read the same stream"
_OTHER_EFFECT = "what follows it in the block is not the sum with it"
_NO_TEXT = "no text passes through this block"


class Sites(NamedTuple):
    """Where the sites of one block are.

    Attributes
    ----------
    points : dict
        Site -> point, of those that are offered.
    refused : dict
        Site -> why it is not offered, of the others.
    """

    points: dict[str, Point]
    refused: dict[str, str]


@torch.no_grad()
def find_sites(model: nn.Module, blocks: Sequence[nn.Module]) -> list[Sites]:
    """Find the sites of every block of a model in eval mode; try each by exchanging its values."""
    shared = Counter(part for block in blocks for part in block.modules())
    with ExitStack() as stack:
        records = [_Record(block, stack, shared) for block in blocks]
        model(probe_ids(model), **forward_arguments(model))
    found = [record.sites() for record in records]
    for site in ("resid_mid", "attn_out", "mlp_out"):
        _try(model, site, found)
    return [Sites({s: p[s] for s in SITES if s in p}, refused) for p, refused in found]


class _Seen(NamedTuple):
    """A tensor that went into or came out of a module, and its values then, as (batch, seq, d)."""

    path: str
    module: nn.Module
    tensor: torch.Tensor
    value: torch.Tensor

    @property
    def depth(self) -> int:
        return self.path.count(".")


class _Record:
    """Keeps what the modules of a block get and return, and finds the sites when it is done."""

    def __init__(self, block: nn.Module, stack: ExitStack, shared: Counter[nn.Module]) -> None:
        self._block = block
        self._stream: list[_Seen] = []
        self._ins: list[_Seen] = []
        self._outs: list[_Seen] = []
        self._chosen: dict[str, tuple[_Seen, Point]] = {}
        begin = block.register_forward_pre_hook(self._begin, with_kwargs=True)
        stack.callback(begin.remove)
        for path, module in block.named_modules():
            if path and shared[module] == 1:  # a module of several blocks is none of them alone
                stack.callback(self._watch(path, module))
        stack.callback(block.register_forward_hook(self._end).remove)

    def sites(self) -> Sites:
        """Return the sites, each with whether the model wrote into its tensor afterwards."""
        points = {
            site: replace(
                point, changes=not torch.equal(seen.tensor.flatten(), seen.value.flatten())
            )
            for site, (seen, point) in self._chosen.items()
        }
        parallel = {"attn_out", "mlp_out"} <= points.keys()
        missing = {"attn_out": _NO_MODULE, "mlp_out": _NO_MODULE}
        missing["resid_mid"] = _PARALLEL if parallel else _NO_MIDDLE
        if not points:
            missing = dict.fromkeys(SITES, _NO_TEXT)
        return Sites(points, {s: why for s, why in missing.items() if s not in points})

    def _begin(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = get_input(args, kwargs)
        self._stream = [_Seen("", block, x, x.clone())]

    def _watch(self, path: str, module: nn.Module) -> Any:
        def note_input(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if args or kwargs:
                self._note(self._ins, path, module, get_input(args, kwargs))

        def note_output(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            with suppress(ModelError):  # a module that returns no tensor is no site
                self._note(self._outs, path, module, get_output(output))

        handles = (
            module.register_forward_pre_hook(note_input, with_kwargs=True),
            module.register_forward_hook(note_output),
        )
        return lambda: [handle.remove() for handle in handles]

    def _note(self, seen: list[_Seen], path: str, module: nn.Module, x: Any) -> None:
        shape = self._stream[0].value.shape
        if isinstance(x, torch.Tensor) and x.shape in (shape, (shape[0] * shape[1], shape[2])):
            seen.append(_Seen(path, module, x, x.reshape(shape).clone()))

    def _end(self, block: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        x = get_output(output)
        before, after = self._stream[0], _Seen("", block, x, x.clone())
        self._chosen = {
            "resid_pre": (before, Point(block, True)),
            "resid_post": (after, Point(block, False)),
        }
        paths = [one.path for one in self._outs]
        once = [one for one in self._outs if paths.count(one.path) == 1]
        parts, factor = _parts(block, before.value, after.value, self._ins, once)
        for site, seen in parts.items():
            flat = None if seen.tensor.shape == before.value.shape else block
            if site == "resid_mid":
                point = Point(seen.module, True, in_place=True, block=flat)
            else:
                point = Point(seen.module, False, factor, block=flat)
            self._chosen[site] = seen, point
        self._ins, self._outs = [], []


def _parts(
    block: nn.Module,
    before: torch.Tensor,
    after: torch.Tensor,
    ins: list[_Seen],
    outs: list[_Seen],
) -> tuple[dict[str, _Seen], float]:
    """Return the parts of a block by site, as many as can be found, and their factor."""
    tried: list[tuple[dict[str, _Seen], float]] = [({}, 1.0)]
    # What a block may multiply its parts by before adding them: a number that it has.
    own = (v for v in vars(block).values() if isinstance(v, float) and v not in (0, 1))
    for factor in (1.0, *own):
        tried += [(one, factor) for one in _sequential(before, after, ins, outs, factor)]
        tried.append((_parallel(before, after, outs, factor), factor))
    tried.append((_single(before, after, outs), 1.0))
    return max(tried, key=lambda one: len(one[0]))


def _sequential(
    before: torch.Tensor,
    after: torch.Tensor,
    ins: list[_Seen],
    outs: list[_Seen],
    factor: float,
) -> Iterator[dict[str, _Seen]]:
    """Yield the parts that each candidate for the stream between the two allows."""
    for middle in ins:
        if _is_sum(middle.value, before) or _is_sum(middle.value, after):
            continue
        found = {
            "attn_out": _added(before, middle.value, outs, factor),
            "mlp_out": _added(middle.value, after, outs, factor),
        }
        parts = {site: part for site, part in found.items() if part is not None}
        if len(parts) == 1:  # of what a block has twice (LongCat), one is not the whole
            kinds = [type(one.module) for one in outs]
            parts = {s: p for s, p in parts.items() if kinds.count(type(p.module)) == 1}
        if parts:
            yield parts | {"resid_mid": middle}


def _parallel(
    before: torch.Tensor, after: torch.Tensor, outs: list[_Seen], factor: float
) -> dict[str, _Seen]:
    """Return the two parts that are added to the same stream; nothing if there are none."""
    for one in sorted(outs, key=lambda seen: seen.depth):
        other = _added(before + factor * one.value, after, outs, factor)
        if other is not None and bool(_MLP.search(one.path)) != bool(_MLP.search(other.path)):
            mlp, attention = (one, other) if _MLP.search(one.path) else (other, one)
            return {"attn_out": attention, "mlp_out": mlp}
    return {}


def _single(before: torch.Tensor, after: torch.Tensor, outs: list[_Seen]) -> dict[str, _Seen]:
    """Return the part of a block that has but one (Mamba's mixer)."""
    found = _added(before, after, outs, 1.0)
    if found is None:
        return {}
    is_mlp = _MLP.search(f"{found.path}.{type(found.module).__name__}")
    return {"mlp_out" if is_mlp else "attn_out": found}


def _added(
    start: torch.Tensor, end: torch.Tensor, outs: list[_Seen], factor: float
) -> _Seen | None:
    """Return the outermost module whose output is what leads from one tensor to another."""
    found = (one for one in outs if _is_sum(end, start, factor * one.value))
    return min(found, key=lambda seen: seen.depth, default=None)


def _is_sum(total: torch.Tensor, *parts: torch.Tensor) -> bool:
    scale = sum((part.abs() for part in parts), total.abs())
    return bool(((total - sum(parts)).abs() <= _ROUNDING * scale).all())


def _try(model: nn.Module, site: str, found: Sequence[Sites]) -> None:
    """Exchange a site's values in every block, and withdraw it where the sums do not follow."""
    generator = torch.Generator().manual_seed(0)
    seen: list[dict[str, torch.Tensor]] = [{} for _ in found]

    def noise(points: Mapping[str, Point]) -> Any:
        # A stream so large that what is added is nothing beside it: it must arrive.
        large = _LARGE if site == "resid_mid" and "mlp_out" not in points else 1.0
        return lambda x: (large * torch.randn(x.shape, generator=generator)).to(x)

    def keep(index: int, name: str) -> Any:
        return lambda x: seen[index].update({name: x.clone()})

    failed = None
    with ExitStack() as stack:
        for index, (points, _) in enumerate(found):
            if site in points:
                stack.enter_context(points[site].exchange(noise(points)))
                for name, point in points.items():
                    stack.enter_context(point.listen(keep(index, name)))
        try:
            model(probe_ids(model), **forward_arguments(model))
        except Exception as error:  # what cannot be exchanged is no site, whatever was raised
            failed = f"exchanging its values ends in {type(error).__name__}"
    for (points, refused), values in zip(found, seen, strict=True):
        if site in points and (failed or not _adds_up(site, points, values)):
            del points[site]
            refused[site] = failed or _OTHER_EFFECT


def _adds_up(site: str, points: Mapping[str, Point], seen: Mapping[str, torch.Tensor]) -> bool:
    """Whether the values of a block add up although those of a site were exchanged."""
    if seen.keys() != points.keys():
        return False
    before, after = seen["resid_pre"], seen["resid_post"]
    middle, attention, mlp = (seen.get(s) for s in ("resid_mid", "attn_out", "mlp_out"))
    if site == "resid_mid":  # what comes before it is no longer in it
        if mlp is None:
            return bool((after - middle).abs().max() < 1e-2 * middle.abs().max())
        return _is_sum(after, middle, mlp)
    if middle is not None:
        return (attention is None or _is_sum(middle, before, attention)) and (
            mlp is None or _is_sum(after, middle, mlp)
        )
    return _is_sum(after, before, *(part for part in (attention, mlp) if part is not None))
