"""The closed schema of a configuration: every key is known, every value has its type.

A node with a `_target_` obeys that class's or function's signature. A plain node obeys the dataclass that its
parent annotates it with. Nothing else may stand in a configuration: checkpoints carry configurations, and
what they name is called.
"""

import importlib
import inspect
import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from occfit.errors import OccfitError, nearest

Component = Annotated[Mapping[str, Any], "has a _target_"]
"""A node that must have a `_target_`."""

ALLOWED_TARGETS = (
    "occfit.face_model.builtin.model.builtin_face_model",
    "occfit.face_model.files.load_face_model",
    "occfit.rendering.rasterize",
    "occfit.networks",
    "occfit.data.augmentation.Augmentation",
    "occfit.data.patches",
    "occfit.data.mixed",
    "occfit.data.prepared.PreparedSource",
    "occfit.data.sources",
    "occfit.data.synthetic.world.WorldConfig",
    "occfit.fitting.em.em_fitting.EMFitting",
    "occfit.fitting.em.pixel_labels.LabelModel",
    "occfit.fitting.em.robust_light.RobustLight",
    "occfit.runs.logs.csv_log.CSVLog",
    "occfit.method.objectives",
    "occfit.method.prices",
    "occfit.runs.side.recognition_training.RecognitionTraining",
    "occfit.method.schedule",
    "occfit.method.visibility",
    "torch.optim",
    "lightning.pytorch.loggers",
)
"""What a configuration may call: these, and what is defined inside them. None of it writes where it is told to,
as `save_face_model` and `write_checkpoint` would, since a checkpoint may come from anywhere."""

PACKAGES = ("occfit", "torch.optim", "lightning.pytorch.loggers")
"""Where a `_target_` is looked up; another package isn't even imported."""

UNRESOLVED = "A finished configuration holds plain values alone, and nothing that is still to be looked up"

HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_"}
INTERPOLATION, MISSING_VALUE = "${", "???"


@cache
def locate(target: str) -> Callable:
    """The class or function that `target` names.

    Raises:
        OccfitError: it doesn't exist, or is none of `ALLOWED_TARGETS`.
    """
    module_name, _, attribute = target.rpartition(".")
    forbidden = OccfitError(
        f"'{target}' may not be called from a configuration", remedy="conf/ shows what can be called"
    )
    if not _is_inside(module_name, PACKAGES) or attribute.startswith("_"):
        raise forbidden
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise OccfitError(f"'{target}' doesn't exist ({error})") from error
    is_callable = inspect.isclass(found) or inspect.isfunction(found)
    if not is_callable or not _is_inside(f"{found.__module__}.{found.__qualname__}", ALLOWED_TARGETS):
        raise forbidden
    return found


def _is_inside(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def require_plain(value: Any, where: object | None = None, path: str = "") -> None:
    """Checks that a configuration is data: mappings, lists, text, numbers, true, false and null.

    OmegaConf replaces `${...}` wherever it meets it, be it by a secret of the environment or by a node that calls
    anything. A text that holds an interpolation would therefore become something else after `check` has seen it.

    Raises:
        OccfitError: there is an interpolation, also in a key, or a value of another kind.
    """
    if isinstance(value, Mapping):
        for key, child in value.items():
            require_plain(key, where, _join(path, key))
            require_plain(child, where, _join(path, key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            require_plain(child, where, f"{path}[{index}]")
    elif isinstance(value, str):
        if INTERPOLATION in value or value == MISSING_VALUE:
            raise OccfitError(f"'{path}' isn't plain text, but {value!r}", where, UNRESOLVED)
    elif value is not None and not isinstance(value, int | float):
        raise OccfitError(f"'{path}' is a {type(value).__name__}", where, UNRESOLVED)


def check(value: Any, annotation: Any, path: str = "") -> None:
    """Checks a resolved configuration (plain containers) against an annotation.

    Raises:
        OccfitError: an unknown key, a missing one, a wrong type, a forbidden `_target_` or an interpolation.
    """
    require_plain(value, path=path)
    _check(value, annotation, path)


def _check(value: Any, annotation: Any, path: str) -> None:
    if isinstance(value, Mapping) and "_target_" in value:
        _check_call(value, path)
    elif _is_component(annotation) and value is not None:
        raise OccfitError(f"'{path}' needs a _target_, but is {value!r}")
    elif (schema := _closed_fields(annotation)) and not (value is None and _is_optional(annotation)):
        _check_fields(value, schema, path)
    elif isinstance(value, Mapping) and _holds_calls(value):
        _, item = (*get_args(annotation), Any, Any)[:2] if get_origin(annotation) else (str, Any)
        for key, child in value.items():
            _check(child, item, _join(path, key))
    elif isinstance(value, Sequence) and not isinstance(value, str) and _holds_calls(value):
        for index, child in enumerate(value):
            _check(child, Any, f"{path}[{index}]")
    else:
        _check_type(value, annotation, path)


def _is_component(annotation: Any) -> bool:
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return annotation == Component or (is_union and Component in get_args(annotation))


def _holds_calls(value: Any) -> bool:
    """Whether a node with a `_target_` is anywhere below `value`, however lists and mappings are nested."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(_holds_calls(child) for child in value.values())
    return isinstance(value, list | tuple) and any(_holds_calls(child) for child in value)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _unknown(path: str, key: Any, options: Iterable[str]) -> OccfitError:
    return OccfitError(f"Unknown key '{_join(path, key)}'", remedy=nearest(str(key), options))


def _check_call(node: Mapping, path: str) -> None:
    try:
        found = locate(str(node["_target_"]))
    except OccfitError as error:
        raise OccfitError(error.what, _join(path, "_target_"), error.remedy) from error
    annotations, is_open = call_schema(found)
    for key, value in node.items():
        if key in HYDRA_KEYS:
            continue
        if key not in annotations and not is_open:
            raise _unknown(path, key, annotations)
        _check(value, annotations.get(key, Any), _join(path, key))


@cache
def call_schema(found: Callable) -> tuple[dict[str, Any], bool]:
    """The annotations of a call's parameters, and whether it takes any others as well."""
    try:
        signature = inspect.signature(found, eval_str=True)
    except NameError:  # an annotation imported for type checkers only
        signature = inspect.signature(found)
    named, is_open = {}, False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            is_open = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            unknown = parameter.annotation is parameter.empty or isinstance(parameter.annotation, str)
            named[name] = Any if unknown else parameter.annotation
    return named, is_open


@cache
def _closed_fields(annotation: Any) -> dict[str, tuple[Any, bool]] | None:
    """Name -> (annotation, required) of a dataclass or TypedDict, also inside `| None`; None for the rest."""
    if get_origin(annotation) in (Union, types.UnionType):
        known = [part for part in get_args(annotation) if part is not type(None)]
        return _closed_fields(known[0]) if len(known) == 1 else None
    if is_typeddict(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        return {name: (hint, name in annotation.__required_keys__) for name, hint in hints.items()}
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation, include_extras=True)
        return {
            field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
            for field in fields(annotation)
        }
    return None


def _is_optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _check_fields(value: Any, schema: dict[str, tuple[Any, bool]], path: str) -> None:
    if not isinstance(value, Mapping):
        raise OccfitError(f"'{path}' has the keys {', '.join(schema)}, but is {value!r}")
    for key in value:
        if key not in schema:
            raise _unknown(path, key, schema)
    for key, (annotation, required) in schema.items():
        if key in value:
            _check(value[key], annotation, _join(path, key))
        elif required:
            raise OccfitError(f"'{_join(path, key)}' is missing")


def _check_type(value: Any, annotation: Any, path: str) -> None:
    """JSON's strict mode: a string can become a path and a list a tuple, but no string becomes a number."""
    adapter = _adapter(annotation)
    if adapter is None:
        return
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise OccfitError(f"'{path}' is {value!r}", remedy=f"{reason}") from error


@cache
def _adapter(annotation: Any) -> TypeAdapter | None:
    """A validator, or None where the annotation is of a kind that no plain value satisfies or contradicts."""
    if annotation is Any:
        return None
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return None
