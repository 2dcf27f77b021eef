from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("verb", [[], ["serve"], ["demo"], ["talk"], ["dev-server"], ["devices"]])
def test_every_verb_explains_itself(verb: list[str]) -> None:
    from typer.testing import CliRunner

    from stapes.cli.app import app

    ended = CliRunner().invoke(app, [*verb, "--help"])

    assert ended.exit_code == 0
    assert "Usage:" in ended.stdout
    # Who has the wheel alone has no folder of the documentation.
    assert "docs/" not in ended.stdout


def test_help_loads_nothing_that_is_slow() -> None:
    slow = {"agents", "openai", "pydantic", "numpy", "matplotlib", "uvicorn", "stapes.session"}
    code = (
        "import sys\n"
        "sys.argv = ['stapes', '--help']\n"
        "sys.stdout = open('/dev/null', 'w')\n"
        "from stapes.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted({slow!r} & set(sys.modules)), file=sys.__stdout__)"
    )

    assert python(code) == "[]"
