"""One latent to one: the assignment whose similarities sum to most. Read `one_to_one`."""

from __future__ import annotations

import numpy as np

from saeflow.measures.similarity.best import Best, Held, hold, strongest
from saeflow.measures.similarity.cosines import Similar

LEFT_OVER = -1
"""In the place of a partner's number where there is none."""

_DENSE_ENTRIES = 1 << 26  # the solver holds them in float64, twice: 1 GiB


def one_to_one(similar: Similar, *, limit: int, candidates: int) -> tuple[Best, Best]:
    """Assign rows to columns, each at most once; all of the fewer get a partner.

    Parameters
    ----------
    similar
        Similarities (n, m), n and m above 0, all of them above -2.
    limit
        Rows or columns, whichever are fewer, up to which the assignment is the best of all, if all
        similarities fit in memory. Where there are more, it is the best among the pairs of which
        one is among the best ``candidates`` of the other; what gets no partner so is assigned among
        what is left, by the same rule.
    candidates
        Such best ones.

    Returns
    -------
    tuple of Best
        Of each row and of each column; NaN and `LEFT_OVER` for those without a partner.
    """
    n, m = similar.shape
    rows, columns, pairs = np.arange(n), np.arange(m), []
    while len(rows) and len(columns):
        left = similar if len(rows) == n and len(columns) == m else similar.part(rows, columns)
        if may_be_dense(left.shape, limit):
            i, j = _among_all(left)
        else:
            i, j = _among_candidates(left, candidates)
        pairs.append((rows[i], columns[j]))
        rows, columns = np.delete(rows, i), np.delete(columns, j)
    i, j = (np.concatenate(one) for one in zip(*pairs, strict=True))
    value = similar.values(i, j)
    return _partners(n, i, j, value), _partners(m, j, i, value)


def may_be_dense(shape: tuple[int, int], limit: int) -> bool:
    """Return whether the best of all assignments is looked for."""
    return min(shape) <= limit and shape[0] * shape[1] <= _DENSE_ENTRIES


def _partners(n: int, own: np.ndarray, other: np.ndarray, value: np.ndarray) -> Best:
    found = Best(np.full(n, np.nan), np.full(n, LEFT_OVER))
    found.value[own], found.match[own] = value, other
    return found


def _among_all(similar: Similar) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    held = similar if isinstance(similar, Held) else hold(similar)
    return linear_sum_assignment(held.matrix, maximize=True)


def _among_candidates(similar: Similar, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Assign as many as candidates allow; at least one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    n, m = similar.shape
    of_rows, of_columns = strongest(similar, k), strongest(similar.turned(), k)
    i = np.concatenate([np.repeat(np.arange(n), of_rows.shape[1]), of_columns.ravel()])
    j = np.concatenate([of_rows.ravel(), np.repeat(np.arange(m), of_columns.shape[1])])
    i, j = np.divmod(np.unique(i * m + j), m)
    cost = 2.0 - similar.values(i, j)  # above 0, for 0 is no pair
    if n > m:
        i, j, n, m = j, i, m, n
    # a place of its own for each, so dear that it is taken by those alone who get no other
    own = np.arange(n)
    cost = np.concatenate([cost, np.full(n, 8.0 * (n + 1))])
    graph = coo_array((cost, (np.append(i, own), np.append(j, m + own))), shape=(n, m + n))
    i, j = min_weight_full_bipartite_matching(graph.tocsr())
    i, j = i[j < m], j[j < m]
    return (i, j) if similar.shape == (n, m) else (j, i)
