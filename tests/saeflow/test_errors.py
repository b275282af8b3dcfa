from saeflow.errors import SaeflowError


def test_a_message_says_what_where_expected_got_and_remedy_on_one_line():
    error = SaeflowError(
        "k is out of range",
        where="config.yaml > saes > topk > k",
        expected="at least 1",
        got=0,
        remedy="Set saes.topk.k.",
    )
    assert str(error) == (
        "config.yaml > saes > topk > k: k is out of range (expected at least 1; got 0)."
        " Set saes.topk.k."
    )


def test_parts_that_are_not_given_leave_no_trace():
    assert str(SaeflowError("the file is empty.")) == "the file is empty."
