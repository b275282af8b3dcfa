"""A small model and text for it, and processes that have torch imported already."""

from __future__ import annotations

import multiprocessing

import pytest

from tiny_models import make_model
from tiny_stores import SEQUENCES, make_tokens, save_model


@pytest.fixture(scope="session")
def model_record(tmp_path_factory):
    """The record of a small GPT-NeoX."""
    return save_model(make_model("gpt_neox"), tmp_path_factory.mktemp("model") / "model.json")


@pytest.fixture(scope="session")
def equal(tmp_path_factory):
    """The record of tokens in sequences of one length."""
    return make_tokens(tmp_path_factory.mktemp("equal"), SEQUENCES["equal"])


@pytest.fixture(scope="module", params=list(SEQUENCES))
def tokens(request, tmp_path_factory):
    """The record of tokens in sequences of many lengths, or of one."""
    return make_tokens(tmp_path_factory.mktemp(request.param), SEQUENCES[request.param])


@pytest.fixture(scope="session")
def processes():
    """Start processes that have torch imported already."""
    context = multiprocessing.get_context("forkserver")
    models = ("auto.modeling_auto", "gpt_neox.modeling_gpt_neox")
    modules = [f"transformers.models.{name}" for name in models]
    context.set_forkserver_preload(["killed_writers", "saeflow.activations.harvest", *modules])
    first = context.Process(target=int)
    first.start()
    first.join()
    return context
