"""What the theory says of toys beside what training them gave."""

from __future__ import annotations

import numpy as np
import pandas as pd

from saeflow.tables.regression import slope

READS = ("simulation",)
SWEEP = "sweep of c"
ENDS = ("slope", "slope_low", "slope_high")


def build(simulation: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the simulation, and those of a further experiment `SWEEP`.

    It has the shift g - a of each feature of "apart" that is predicted to live, with c d / 2 as
    ``half_cd`` and the slope of the shift on it: over all strengths and coefficients of an SAE
    (``trained``) and frequency, with an intercept and the interval of least squares.
    """
    apart = simulation[(simulation["experiment"] == "apart") & (simulation["predicted"] > 0)]
    shifts = apart.assign(
        experiment=SWEEP,
        quantity="shift",
        predicted=apart["g"] - apart["predicted"],
        simulated=apart["g"] - apart["simulated"],
    )
    table = pd.concat([simulation, shifts], ignore_index=True)
    table["half_cd"] = table["c"] * table["d"] / 2
    table[list(ENDS)] = np.nan
    sweep = table[table["experiment"] == SWEEP]
    for _, index in sweep.groupby(["trained", "p"], sort=False).groups.items():
        found = slope(
            *(table.loc[index, name].to_numpy(float) for name in ("half_cd", "simulated"))
        )
        for name, value in zip(ENDS, found, strict=True):
            table.loc[index, name] = np.nan if value is None else value
    return table
