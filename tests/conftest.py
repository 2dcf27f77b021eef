"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# A change must not fail for what another run would have found: on CI the examples are always the
# same. Run the suite by yourself, and it looks at new ones each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
