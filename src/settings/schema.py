"""From the mappings of params.yaml to frozen dataclasses, checked once: kinds, ranges, what is missing and what is odd.

A section is a dataclass whose fields are annotated with int, float, bool, str, `X | None`, `tuple[X, ...]`,
`dict[str, X]` or another section, and `Annotated[int, Range(1, 9)]` where its value alone has limits.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from src.runtime.errors import InputError

S = TypeVar("S", bound="Section")


class Range(NamedTuple):
    """Limits of a number, both included, None is none; and whether it is to be above 0."""

    least: float | None = None
    most: float | None = None
    positive: bool = False


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
NotNegative = Annotated[float, Range(0)]
Positive = Annotated[float, Range(positive=True)]
Share = Annotated[float, Range(0, 1)]


class Section:
    """A part of params.yaml. To read a parameter that dvc.yaml does not declare for the stage is InputError.

    It would make results stale in silence: DVC would not run the stage again when that parameter changes.
    """

    _stage: str
    _path: str

    def declares(self, name: str) -> bool:
        """Whether the stage reads this parameter at all."""
        return name in vars(self)

    if not TYPE_CHECKING:  # to a type checker there are the declared fields and no other

        def __getattribute__(self, name: str) -> Any:
            # A field that was left out must not be read from the class, where its default is an attribute.
            values = object.__getattribute__(self, "__dict__")
            if name in values or name not in getattr(type(self), "__dataclass_fields__", ()):
                return object.__getattribute__(self, name)
            raise InputError(
                f"stage '{values.get('_stage', '')}' reads parameter '{_joined(values.get('_path', ''), name)}', which "
                "dvc.yaml does not declare for it; add it under params"
            )


def build(kind: type[S], values: Any, path: str, stage: str = "", whole: frozenset[str] | None = None) -> S:
    """The section of this kind that the values of params.yaml under the dotted name `path` describe.

    stage, whole: for whom it is read, and the dotted names that this stage declares with all that they hold, None for
    everything; what is not declared is then absent. Raises InputError, naming the parameter, for a value of another
    kind or out of range, and for one that is missing or that no field asks for.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise InputError(f"{path} must hold `name: value` lines, not {values!r}; correct it in params.yaml")
    hints = _hints(kind)  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    partial = whole is not None and not any(f"{path}.".startswith(f"{name}.") for name in whole)
    for name in values:
        if not isinstance(name, str):
            raise InputError(f"{path} has the name {name!r}, which YAML does not read as text; put it in quotes")
        if name not in fields:
            raise InputError(f"params.yaml has {_joined(path, name)}, which nothing reads; known: {', '.join(fields)}")
    section = object.__new__(kind)
    vars(section).update(_stage=stage, _path=path)
    for name, field in fields.items():
        if name in values:
            vars(section)[name] = _checked(_joined(path, name), values[name], hints[name], stage, whole)
        elif partial:
            continue
        elif field.default is dataclasses.MISSING:
            raise InputError(f"params.yaml lacks {_joined(path, name)}; add it there")
        else:
            vars(section)[name] = field.default
    if not partial and hasattr(section, "__post_init__"):
        section.__post_init__()
    return section


def plain(value: Any) -> Any:
    """A section as nested dictionaries and lists, for hashing and for JSON; anything else as it is."""
    if isinstance(value, Section):
        names = (field.name for field in dataclasses.fields(value))  # type: ignore[arg-type]
        return {name: plain(vars(value)[name]) for name in names if name in vars(value)}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def changed(section: S, **values: Any) -> S:
    """A copy with other values, where `dataclasses.replace` would ask for what the stage does not declare."""
    copy = object.__new__(type(section))
    vars(copy).update({name: value for name, value in vars(section).items() if not name.startswith("_")}, **values)
    return copy


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _checked(name: str, value: Any, hint: Any, stage: str, whole: frozenset[str] | None) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _in_range(name, _checked(name, value, inner[0], stage, whole), inner[1])
    if origin in (Union, types.UnionType):
        (kind,) = (part for part in inner if part is not type(None))
        empty = value is None or (value == {} and isinstance(kind, type) and issubclass(kind, Section))
        return None if empty else _checked(name, value, kind, stage, whole)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{name} must be a list, not {value!r}; correct it in params.yaml")
        return tuple(_checked(f"{name}.{k}", item, inner[0], stage, whole) for k, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{name} must hold `name: value` lines, not {value!r}; correct it in params.yaml")
        if odd := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"{name} has the name {odd[0]!r}, which YAML does not read as text; put it in quotes")
        return {key: _checked(f"{name}.{key}", item, inner[1], stage, whole) for key, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, Section):
        return build(hint, value, name, stage, whole)
    return _SCALARS[hint](name, value)


def _in_range(name: str, value: Any, limits: Range) -> Any:
    if limits.least is not None and value < limits.least:
        raise InputError(f"{name} must be at least {limits.least}, not {value}; correct it in params.yaml")
    if limits.most is not None and value > limits.most:
        raise InputError(f"{name} must be at most {limits.most}, not {value}; correct it in params.yaml")
    if limits.positive and value <= 0:
        raise InputError(f"{name} must be positive, not {value}; correct it in params.yaml")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse_number_as_text(name, value, whole=True)
        raise InputError(f"{name} must be a whole number, not {value!r}; correct it in params.yaml")
    return value


def _number(name: str, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse_number_as_text(name, value)
        raise InputError(f"{name} must be a number, not {value!r}; correct it in params.yaml")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond 1e308
        raise InputError(f"{name} must be finite, not one of more than 300 digits; correct it in params.yaml") from None
    if not finite:
        raise InputError(f"{name} must be finite, not {value}; correct it in params.yaml")
    return value


def _refuse_number_as_text(name: str, value: Any, whole: bool = False) -> None:
    """InputError that says what to write for a text that was meant as a number, such as '1e-3'."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return
    if math.isfinite(number):
        written = np.format_float_positional(number, trim="-" if whole else "0")
        raise InputError(f"{name} is the text '{value}', not a number; write {written} in params.yaml")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}; correct it in params.yaml")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {value!r}; correct it in params.yaml, in quotes if need be")
    return value


_SCALARS: dict[Any, Callable[[str, Any], Any]] = {int: _whole, float: _number, bool: _flag, str: _text}
