"""Parameters of a recipe as they are given on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from evcontrol.cli.fault import WRONG_USE, CliError


def parameters_of(settings: Iterable[str]) -> dict[str, str]:
    """Values by name from ``NAME=VALUE``; CliError for anything else."""
    parameters = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise CliError(f"--set {setting}: write NAME=VALUE, such as --set tmp='4 psi'", status=WRONG_USE)
        parameters[name.strip()] = value.strip()
    return parameters
