import logging
import threading

import pytest

from saeflow.activations.fill import _Behind
from tiny_stores import harvest_hooks, make_tokens


def test_calls_are_made_in_order_in_one_other_thread():
    calls = []
    with _Behind(lambda x: calls.append((x, threading.get_ident())), 2) as behind:
        for x in range(20):
            behind.put(x)
    assert [x for x, _ in calls] == list(range(20))
    assert {thread for _, thread in calls} - {threading.get_ident()} == {calls[0][1]}


def test_it_waits_where_more_calls_are_pending_than_allowed():
    free, begun = threading.Semaphore(0), []

    def slow(x):
        begun.append(x)
        free.acquire()

    done = threading.Event()

    def fill():
        with _Behind(slow, 2) as behind:
            for x in range(3):
                behind.put(x)
            done.set()

    thread = threading.Thread(target=fill)
    thread.start()
    early = done.wait(0.2)
    free.release()
    late = done.wait(10)
    free.release(2)
    thread.join()
    assert (early, late) == (False, True)  # the third call had no room until the first was done
    assert begun == [0, 1, 2]


@pytest.mark.parametrize("n", [1, 5])
def test_a_failure_reaches_the_caller_and_ends_what_follows(n):
    calls = []

    def fail(x):
        calls.append(x)
        raise OSError("no")

    with pytest.raises(OSError, match="no"), _Behind(fail, 2) as behind:
        for x in range(n):
            behind.put(x)
    assert calls == [0]


def test_progress_tells_speed_bytes_and_what_an_earlier_run_did(
    model_record, tmp_path, caplog, monkeypatch
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("saeflow.logs._LOG_EVERY_S", 0.0)
    tokens = make_tokens(tmp_path, {"train": [32] * 24})
    harvest_hooks(tmp_path / "a", ["resid_post.0"], model_record, tokens)
    lines = [record.getMessage() for record in caplog.records]
    assert not any("earlier run" in line for line in lines)
    # 24 sequences of 32 tokens, 16 float32 values each
    last = [line for line in lines if line.startswith("harvest: 768 of 768 tokens (100%)")]
    assert len(last) == 1
    assert "tokens/s, 0.00 GB written, 0 s left" in last[0]

    (place,) = (tmp_path / "a").glob("resid_post.0.*.zarr")
    place.rename(place.with_name(f"{place.name}.partial"))
    place = place.with_name(f"{place.name}.partial")
    (place / "manifest.json").unlink()
    (place / "_commit" / "000001.json").unlink()
    caplog.clear()
    harvest_hooks(tmp_path / "a", ["resid_post.0"], model_record, tokens)
    lines = [record.getMessage() for record in caplog.records]
    assert "512 of 768 tokens were stored by an earlier run" in lines
    assert any(line.startswith("harvest: 256 tokens in ") for line in lines)
