"""The defaults of the transports' options are those of the core."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest

import stapes
from stapes import _core

# Options that the core does not see: where to, and what a session holds for its transport.
PYTHON_ONLY = {"url", "headers", "max_outgoing_bytes", "high_water"}


@pytest.mark.parametrize("name", sorted(_core.OPTION_DEFAULTS))
def test_an_option_has_the_default_of_the_core(name: str):
    cls: Any = getattr(stapes, name)
    declared = {field.name: field.default for field in dataclasses.fields(cls)}
    for option in PYTHON_ONLY & set(declared):
        del declared[option]
    assert declared == _core.OPTION_DEFAULTS[name]


@pytest.mark.parametrize("name", sorted(_core.OPTION_DEFAULTS))
def test_an_option_is_documented(name: str):
    cls: Any = getattr(stapes, name)
    documented = re.findall(
        r"^    (\w+): ", inspect.getdoc(cls).split("Attributes:")[1], re.MULTILINE
    )
    assert sorted(documented) == sorted(field.name for field in dataclasses.fields(cls))
