"""Typed configs: YAML plus dotted overrides, unknown keys refused, saved resolved beside every result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from vtalign.errors import ConfigError


class Config(BaseModel):
    """Base of all configs: immutable, no unknown keys, defaults documented where they are declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


C = TypeVar("C", bound=Config)

_UNSHOWN = "vtalign_unshown"


def unshown_error(reason: str) -> PydanticCustomError:
    """For validators: an error whose line does not repeat the value, which may hold a secret."""
    return PydanticCustomError(_UNSHOWN, "{reason}", {"reason": reason})


def load_config(cls: type[C], path: str | Path | None, overrides: Sequence[str] = (), **fixed: Any) -> C:
    """Read `path` (YAML, may be None), apply `key.sub=value` overrides, then `fixed` (command-line flags that are not None).

    Raises ConfigError with one line that names the file, the field and the value.
    """
    source = str(path) if path is not None else "command line"
    try:
        tree: Any = OmegaConf.create({})
        if path is not None:
            if not Path(path).is_file():
                raise ConfigError(f"{path}: no such config file")
            tree = OmegaConf.create(_read_mapping(Path(path)))
        for item in overrides:
            _override(tree, item)
        data = OmegaConf.to_container(tree, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{source}: {str(error).splitlines()[0]}") from None
    assert isinstance(data, dict)
    data.update({key: value for key, value in fixed.items() if value is not None})
    return validate_config(cls, data, source)


def validate_config(cls: type[C], data: Any, source: str) -> C:
    """Validate plain data as `cls`; raises ConfigError naming `source` and the first wrong field."""
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            reason = f"unknown key (known: {', '.join(_known_keys(cls, first['loc']))})"
        elif first["type"] == "missing":
            reason = "is required"
        else:
            reason = first["msg"].removeprefix("Value error, ")
            if first["loc"] and first["type"] != _UNSHOWN:  # of a rule about several fields, the input is the whole config
                reason = f"{reason} (got {first['input']!r})"
        where = f"{source}: {field}" if first["loc"] else source
        raise ConfigError(f"{where}: {reason}" + (f" (and {more} more)" if more else "")) from None


def dump_config(config: Config) -> str:
    """The resolved config as YAML, stable across runs."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _override(tree: Any, item: str) -> None:
    """Set one `key.sub=value`; `stages.0.beta=0.2` reaches into a list, which a merged dotlist would replace whole."""
    key, equals, text = item.partition("=")
    if not equals or not key:
        raise ConfigError(f"override '{item}': expected key=value")
    try:
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
        assert isinstance(value, dict)
        OmegaConf.update(tree, key, value["value"], merge=True)
    except (OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"override '{item}': {str(error).splitlines()[0]}") from None


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, got {type(data).__name__}")
    return data


def _known_keys(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Keys of the model in which `loc` (as pydantic names it: fields, list indices, tags of unions) ends."""
    models = [cls]
    for part in loc[:-1]:
        fields = [model.model_fields[part] for model in models if isinstance(part, str) and part in model.model_fields]
        inside = [nested for field in fields for nested in _models_in(field.annotation)]
        tagged = [model for model in models if any(part in get_args(f.annotation) for f in model.model_fields.values())]
        models = inside or tagged or models
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The config models that a field's annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
