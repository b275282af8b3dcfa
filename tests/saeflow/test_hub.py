"""Errors of the hub's client, in words. What asks a hub is tested where models are fetched."""

from __future__ import annotations

import errno

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled

from saeflow.errors import NetworkError
from saeflow.hub import clear_errors, offline, require_commit, unreachable

FACTS = {"kind": "model", "needed": "the model's files"}


def test_a_commit_is_accepted_without_asking_anybody(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    require_commit("org/name", "0a" * 20, kind="model")


def test_a_full_disk_is_not_blamed_on_the_network():
    with pytest.raises(OSError) as caught, clear_errors("org/name", "0" * 40, **FACTS):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not isinstance(caught.value, NetworkError)


@pytest.mark.parametrize("error", [ConnectionError("refused"), TimeoutError("slow")])
def test_a_lost_connection_becomes_a_network_error(error):
    with pytest.raises(NetworkError, match="org/name.*HF_HOME"):
        with clear_errors("org/name", "0" * 40, **FACTS):
            raise error


def test_offline_mode_is_not_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr("saeflow.hub.time.sleep", waits.append)
    with offline():
        problem = unreachable("org/name", "0" * 40, **FACTS)
    assert isinstance(problem.__cause__, OfflineModeIsEnabled)
    assert waits == []


def test_offline_mode_ends_with_its_block():
    before = constants.HF_HUB_OFFLINE
    with pytest.raises(KeyError), offline():
        assert constants.HF_HUB_OFFLINE
        raise KeyError
    assert constants.HF_HUB_OFFLINE == before
