"""The columns of a dataset: nobody reads those beside the text, so none of them is in the way.

What fits one Arrow type in all batches, and can be written to Parquet, is kept under that type;
all else is carried as JSON text. Read `Types`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from saeflow.errors import DataError, first_line

Column = pa.Array | list[Any]
"""Values of one type, or of several."""

_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
_MOST_FIELDS = 100  # of a structure: more are keys that are values, such as words


class Batch(NamedTuple):
    """Some rows of a source.

    Attributes
    ----------
    columns : dict
        By name; one is the text.
    n_replaced : int
        How often something in them was no character and was replaced.
    """

    columns: dict[str, Column]
    n_replaced: int = 0


class Types:
    """The type that each column has in all batches; None of one that has none, and is JSON text.

    Parameters
    ----------
    batches
        Columns by name, or schemas.
    """

    def __init__(self, batches: Iterable[Mapping[str, Column] | pa.Schema]) -> None:
        found: dict[str, pa.DataType | None] = {}
        for batch in batches:
            for name, kind in _kinds(batch):
                found[name] = _common(found.get(name, kind), kind)
        self._types = {name: kind if _is_kept(kind) else None for name, kind in found.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    @property
    def as_json(self) -> list[str]:
        """The columns that are JSON text."""
        return [name for name, kind in self._types.items() if kind is None]

    def of(self, name: str) -> pa.DataType:
        """Return the type under which a column is written."""
        kind = self._types[name]
        return pa.string() if kind is None else kind

    def array(self, name: str, column: Column | None, length: int) -> pa.Array:
        """Return a batch's column under the type of all batches; None is one that it lacks."""
        kind = self._types[name]
        if column is None:
            return pa.nulls(length, self.of(name))
        if kind is not None:
            return _decoded(column).cast(kind, safe=False)  # whole numbers among fractions
        values = column.to_pylist() if isinstance(column, pa.Array) else column
        return pa.array([None if value is None else _json(value) for value in values], pa.string())


def as_column(values: list[Any]) -> Column:
    """Return values as an Arrow array, or as they are where they have no type in common."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return values


def columns_of(batch: pa.RecordBatch | pa.Table, text: str) -> dict[str, pa.Array]:
    """Return the columns of a batch by name, with that of the text among them.

    ``meta.body`` is the field ``body`` of ``meta``, out of which it is taken. Of columns with the
    same name the first keeps it.
    """
    arrays = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in batch.columns]
    columns = dict(zip(distinct(batch.schema.names), arrays, strict=True))
    if text in columns:
        return columns
    name, *fields = text.split(".")
    if fields and name in columns and isinstance(columns[name], pa.StructArray):
        rest, found = _taken(columns[name], fields)
        if found is not None:
            columns[text] = found
            columns[name] = rest
            if not rest.type.num_fields:
                del columns[name]
    return columns


def text_of(columns: Mapping[str, Column], text: str, where: str, first: int = 1) -> pa.Array:
    """Return the texts of a batch, strings without null.

    A `DataError` names the source, ``where``, and the row; the ``first`` of the batch has a number.
    """
    if text not in columns:
        raise no_column(text, names_with_fields(columns), where)
    column = columns[text]
    kind = _plain(column.type) if isinstance(column, pa.Array) else None
    if kind is None or not any(is_kind(kind) for is_kind in _TEXTS):
        raise DataError(
            f"the column '{text}' holds no text",
            where=where,
            expected="strings",
            got=str(kind or "values of several kinds"),
            remedy="Name the column that holds the text with `text:` in the dataset's entry.",
        )
    if column.null_count:
        row = first + column.is_null().to_pylist().index(True)
        raise DataError(
            f"a row has no value in the column '{text}'",
            where=f"{where} > row {row}",
            remedy="Give it a text, or remove it.",
        )
    try:
        texts = _decoded(column).cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid as error:  # bytes
        raise DataError(
            f"the column '{text}' is not UTF-8",
            where=f"{where} > rows {first} to {first + len(column) - 1}",
            got=first_line(error),
            remedy="Write it as strings in UTF-8.",
        ) from error
    return texts


def distinct(names: Sequence[str]) -> list[str]:
    """Return names, each once: one that was there before gets a number."""
    seen: dict[str, int] = {}
    for name in names:
        new, n = name, 1
        while new in seen:
            n += 1
            new = f"{name}.{n}"
        seen[new] = n
    return list(seen)


def names_with_fields(columns: Mapping[str, Column]) -> list[str]:
    """Return what `text` may name: columns, and fields of structures ("meta.body")."""
    return [
        found
        for name, column in columns.items()
        for found in (_names(name, column.type) if isinstance(column, pa.Array) else [name])
    ]


def no_column(text: str, known: Iterable[str], where: object) -> DataError:
    """Return the error of a column that is not there."""
    return DataError(
        f"there is no column '{text}'",
        where=where,
        expected=f"`text:` to be one of {', '.join(known) or 'none'}",
        remedy="Name the column that holds the text with `text:` in the dataset's entry.",
    )


def _names(name: str, kind: pa.DataType) -> list[str]:
    if not pa.types.is_struct(kind) or not kind.num_fields:
        return [name]
    return [found for field in kind for found in _names(f"{name}.{field.name}", field.type)]


def _taken(array: pa.StructArray, fields: list[str]) -> tuple[pa.StructArray, pa.Array | None]:
    """Return a structure without a field at any depth, and that field."""
    index = array.type.get_field_index(fields[0])
    if index < 0:
        return array, None
    inner = array.flatten()  # a structure that is null has null fields
    found: pa.Array | None = inner[index]
    kinds = list(array.type)
    if len(fields) > 1:
        if not isinstance(found, pa.StructArray):
            return array, None
        inner[index], found = _taken(found, fields[1:])
        kinds[index] = kinds[index].with_type(inner[index].type)
    if len(fields) == 1 or not kinds[index].type.num_fields:
        del inner[index], kinds[index]
    if not kinds:
        return pa.array([{}] * len(array), pa.struct([])), found
    return pa.StructArray.from_arrays(inner, fields=kinds, mask=array.is_null()), found


def _kinds(batch: Mapping[str, Column] | pa.Schema) -> Iterator[tuple[str, pa.DataType | None]]:
    if isinstance(batch, pa.Schema):
        yield from ((field.name, _plain(field.type)) for field in batch)
    else:
        for name, column in batch.items():
            yield name, _plain(column.type) if isinstance(column, pa.Array) else None


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of categories; others as they are."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def _common(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    if one is None or other is None or one.equals(other):
        return one and other
    schemas = [pa.schema([pa.field("column", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def _is_kept(kind: pa.DataType | None) -> bool:
    if kind is None or _has_many_fields(kind):
        return False
    try:
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([pa.field("column", kind)])).close()
    except pa.ArrowException:
        return False
    return True


def _has_many_fields(kind: pa.DataType) -> bool:
    """Whether a type is a structure of more than `_MOST_FIELDS` fields, beside or in each other."""
    inside = [kind]
    for one in inside:
        inside += [one.field(i).type for i in range(one.num_fields)]
        if len(inside) > _MOST_FIELDS:
            return True
    return False


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
