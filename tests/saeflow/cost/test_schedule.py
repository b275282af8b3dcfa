from saeflow.cost.schedule import Piece, makespan


def test_jobs_run_side_by_side_as_far_as_cores_allow():
    pieces = {name: Piece(10, 1) for name in "abc"}
    assert makespan(pieces, 1) == 30
    assert makespan(pieces, 2) == 20
    assert makespan(pieces, 3) == 10


def test_a_job_waits_for_those_before_it():
    pieces = {"a": Piece(5, 1), "b": Piece(7, 1, ("a",)), "c": Piece(1, 1, ("b",))}
    assert makespan(pieces, 4) == 13


def test_what_is_not_planned_is_there_already():
    assert makespan({"b": Piece(7, 1, ("made before",))}, 1) == 7


def test_a_job_of_all_cores_runs_alone():
    # a takes both; b and c follow side by side
    pieces = {"a": Piece(4, 2), "b": Piece(3, 1), "c": Piece(3, 1)}
    assert makespan(pieces, 2) == 7


def test_a_job_that_wants_more_cores_than_there_are_gets_all():
    assert makespan({"a": Piece(4, 8)}, 2) == 4


def test_the_first_job_of_a_turn_does_the_work_of_all():
    # 100 once, then 1 for each of the three, one after the other
    pieces = {name: Piece(1, 1, (), "pass") for name in "abc"}
    assert makespan(pieces, 3, {"pass": 100}) == 103


def test_two_turns_run_side_by_side():
    pieces = {f"{turn}{i}": Piece(1, 1, (), turn) for turn in "xy" for i in range(2)}
    assert makespan(pieces, 2, {"x": 10, "y": 20}) == 22


def test_a_job_that_waits_for_its_turn_holds_no_core():
    pieces = {"a": Piece(10, 1, (), "t"), "b": Piece(10, 1, (), "t"), "c": Piece(10, 1)}
    assert makespan(pieces, 2) == 20


def test_nothing_takes_no_time():
    assert makespan({}, 2) == 0
