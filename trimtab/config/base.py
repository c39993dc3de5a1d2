"""What every config model shares, and how a config is read, overridden and complained about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.errors import ConfigError


class Model(BaseModel):
    """A part of a config: unknown keys are errors, numbers are finite, values do not change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


M = TypeVar("M", bound=BaseModel)
# The parser lets through what makes no date or no number, and what is nested too deeply.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice: YAML's own way, the later one wins, hides mistakes."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    problem = f"key {key.value!r} comes twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: there is no such file, or it holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("cannot be read: it is not UTF-8", source=str(path)) from error
    return parse_yaml(text, source=str(path))


def parse_yaml(text: str, *, source: str) -> dict[str, Any]:
    """The mapping in YAML text; an empty text is an empty mapping.

    Raises:
        ConfigError: it is not YAML, or holds no mapping.
    """
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(f"not YAML: {where}{problem}", source=source) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(
            f"must hold `key: value` lines, not a {type(value).__name__}", source=source
        )
    return value


def override(values: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of `values` with each `a.b=value` applied; values are read as YAML.

    Raises:
        ConfigError: an assignment has no `=`, or goes through something that is no mapping.
    """
    result: dict[str, Any] = _copied(values)
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        if not separator or not path:
            raise ConfigError(f"{assignment!r} is not key=value", source="command line")
        *parents, last = path.split(".")
        node = result
        for depth, key in enumerate(parents):
            child = node.setdefault(key, {})
            if child is None:
                child = node[key] = {}
            if not isinstance(child, dict):
                field = ".".join(parents[: depth + 1])
                raise ConfigError(
                    f"cannot set {path}: it is not a mapping", field=field, source="command line"
                )
            node = child
        try:
            node[last] = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
        except _NOT_YAML as error:
            raise ConfigError(f"{text!r} is not YAML", field=path, source="command line") from error
    return result


def _copied(value: Any) -> Any:
    """A copy in which every mapping can be changed without changing the original."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return value


def validate(model: type[M], values: Mapping[str, Any], *, source: str) -> M:
    """The config, or one line that names the first field that does not hold.

    Raises:
        ConfigError: a field is unknown, missing, or has a wrong value.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise _first_problem(error, source) from error


def _first_problem(error: ValidationError, source: str) -> ConfigError:
    problems = error.errors(include_url=False)
    # Unknown keys first: a misspelt key often makes the right one missing as well.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    field = ".".join(_parts(first["loc"]))
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "is required"
    else:
        message = first["msg"].removeprefix("Value error, ")
        given = first["input"]
        if isinstance(given, str | int | float | bool) or given is None:
            message += f" (given: {given!r})"
    if len(problems) > 1:
        message += f" [and {len(problems) - 1} more]"
    return ConfigError(message, field=field, source=source)


def _parts(location: tuple[int | str, ...]) -> list[str]:
    """The keys of a location, without what pydantic adds: a verifier's type behind its name."""
    parts = [str(part) for part in location if part != "[key]"]
    if "verifiers" in parts[:-2]:
        del parts[parts.index("verifiers") + 2]
    return parts


def dump_yaml(config: BaseModel) -> str:
    """The resolved whole as YAML that reads back to the same config."""
    text: str = yaml.safe_dump(
        config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )
    return text
