import made_up_study
from made_up_study import draw, table
from saeflow.figures.style import WARNING
from saeflow.studies.models import STUDY


def test_scores_stand_beside_chance_and_a_task_at_chance_is_named():
    scores = table(STUDY, "language_model", made_up_study.benchmarks())
    shares, loss = draw(STUDY, "language_model", scores).axes
    names = [t.get_text() for t in shares.get_yticklabels()]
    assert names[-1] == "owner binding" and "indirect object ABBA" in names
    assert [t.get_text() for t in loss.get_yticklabels()] == ["held out loss"]
    assert [t.get_text() for t in shares.texts] == ["at chance"]
    assert shares.get_yticklabels()[-1].get_color() == WARNING
    values = {
        round(float(line.get_xdata()[0]), 3) for line in shares.lines if len(line.get_xdata())
    }
    assert {0.81, 0.79, 0.02, 0.93} <= values
