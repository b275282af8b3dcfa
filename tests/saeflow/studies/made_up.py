"""A study of one table and one figure, all of it."""

from saeflow.studies.study import Figure, Study, Table


def shares(runs):
    import pandas as pd

    fired = {run.key.sae: (run.latents()["fired"] > 0).mean() for run in runs}
    return pd.DataFrame(fired.items(), columns=["sae", "share"])


def draw(table):
    from matplotlib.figure import Figure as Canvas

    from saeflow.figures.drawing import Drawing

    figure = Canvas()
    figure.subplots().barh(table["sae"], table["share"])
    return Drawing(figure, table)


TABLES = {"alive": Table(f"{__name__}:shares", ("reconstruction",))}
FIGURES = {"alive": Figure("alive", "Live latents", "The share that fires.", f"{__name__}:draw")}
STUDY = Study("What is alive", "Which latents fire at all?", TABLES, FIGURES)
