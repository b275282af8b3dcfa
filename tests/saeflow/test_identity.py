from saeflow.identity import identity_of


def parts(**changes):
    base = dict(rule="r", settings={"l1": 0.1}, code="1", inputs={"x": "i", "y": ["j", "k"]})
    return identity_of(**{**base, **changes})


def test_every_part_of_an_identity_counts():
    identities = {
        parts(),
        parts(rule="s"),
        parts(settings={"l1": 0.2}),
        parts(settings={"l1": 0.1, "k": None}),
        parts(code="2"),
        parts(inputs={"x": "i", "y": ["k", "j"]}),
        parts(inputs={"x": "j", "y": ["j", "k"]}),
    }
    assert len(identities) == 7


def test_the_order_of_settings_does_not_count():
    assert parts(settings={"a": 1, "b": 2}) == parts(settings={"b": 2, "a": 1})
