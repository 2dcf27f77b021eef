"""What holds for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A change must not fail for what another run would have found: on CI the examples are always the
# same. Run the suite by yourself, and it looks at new ones each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets what depends on the machine's leisure try again.

    Sound that is sent in real time suffers where the machine is busy, which is not what is tested.
    """
    for item in items:
        if item.get_closest_marker("real_time") or "webrtc" in item.path.name:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
