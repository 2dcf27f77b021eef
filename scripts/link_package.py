"""Makes the package importable in this environment from where it stands, with its command.

The extension module is built beside the package, so there is nothing to install but a pointer: the
next build of it needs no installation.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = """#!{python}
import sys
from stapes.cli import main
sys.exit(main())
"""


def main() -> None:
    """Writes a `.pth` file and the `stapes` command."""
    Path(sysconfig.get_path("purelib"), "stapes.pth").write_text(f"{ROOT / 'python'}\n")
    command = Path(sysconfig.get_path("scripts"), "stapes")
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
