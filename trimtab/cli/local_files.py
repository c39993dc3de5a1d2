"""Looks for a run's files before servers are started that would miss them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError, ServiceError
from trimtab.model_path import resolve_model
from trimtab.supervisor import ServiceName


def check_local_files(config: RunConfig, started: AbstractSet[ServiceName]) -> None:
    """Returns if the services that are started here will find the run's model and data.

    Raises:
        ConfigError: a file or folder does not exist; names the field.
    """
    if started & {"rollout", "learner"}:
        try:
            resolve_model(config.model.path, allow_hub=config.model.allow_hub)
        except ServiceError as error:
            raise ConfigError(error.message, field=error.field) from error
    if "learner" not in started:
        return
    datasets = {f"data.eval.{name}": dataset for name, dataset in config.data.eval.items()}
    if config.data.train is not None:
        datasets["data.train"] = config.data.train
    for field, dataset in datasets.items():
        if dataset.path is not None and not dataset.path.expanduser().is_file():
            raise ConfigError(f"there is no file {dataset.path}", field=f"{field}.path")
