from saeflow.cli.causes import differences


def test_nested_settings_are_compared_key_by_key():
    was = {"a": {"b": 1, "c": 2}, "d": "x", "gone": 1}
    now = {"a": {"b": 3, "c": 2}, "d": "x", "new": None}
    assert list(differences(was, now)) == [
        ("a > b", "1", "3"),
        ("gone", "1", "not there"),
        ("new", "not there", "null"),
    ]


def test_the_same_change_in_many_entries_is_told_once():
    was = [{"l1": 0.1, "hook": hook} for hook in "abc"]
    now = [{"l1": 0.2, "hook": hook} for hook in "abc"]
    assert list(differences({"rows": was}, {"rows": now})) == [
        ("rows > [*] > l1", "0.1", "0.2, in 3 entries")
    ]


def test_of_lists_of_other_lengths_the_entries_are_counted():
    was, now = [{"x": 1}, {"x": 2}], [{"x": 2}, {"x": 3}, {"x": 4}]
    assert list(differences(was, now, "rows")) == [
        ("rows", "2 entries", "3 entries: 2 new, 1 gone")
    ]


def test_lists_of_values_are_shown_whole():
    assert list(differences([0], [0, 1], "seeds")) == [("seeds", "[0]", "[0,1]")]


def test_a_hash_is_shown_by_its_beginning():
    ((_, was, now),) = differences("a" * 64, "b" * 64, "path_sha256")
    assert (was, now) == ("aaaaaaaaaaaa...", "bbbbbbbbbbbb...")
