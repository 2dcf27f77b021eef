"""Builds the site into `out/site`, or into `site` of the folder that is named: `make docs`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

MISSING = "{} is not installed in this Python: use `make docs`, which has what builds the site"

try:
    from docs_site.finishing import finish
    from docs_site.links import problems
    from docs_site.navigation import as_toml, navigation
    from docs_site.rendering import undocumented
    from docs_site.staging import ROOT, stage
except ModuleNotFoundError as error:
    raise SystemExit(MISSING.format(error.name)) from None


def main() -> None:
    """Builds, and ends with an error for each thing that is wrong."""
    if importlib.util.find_spec("zensical") is None:
        raise SystemExit(MISSING.format("zensical"))
    out = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "out"
    staged, site = out / "docs", out / "site"
    stage(staged)
    settings = (Path(__file__).parent / "zensical.toml").read_text("utf-8")
    config = out / "zensical.toml"
    config.write_text(settings.replace("nav = []", f"nav = {as_toml(navigation(staged))}"), "utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(config)]
    built = subprocess.run(command, cwd=out, env={**os.environ, "NO_COLOR": "1"})
    if built.returncode:
        raise SystemExit(built.returncode)
    finish(staged, site)
    wrong = [f"{name}: nothing is said of it" for name in undocumented()] + problems(site)
    if wrong:
        raise SystemExit("\n".join([*wrong, f"{len(wrong)} things are wrong"]))
    print(f"the site is in {site}: {len(list(site.rglob('*.html')))} pages")


if __name__ == "__main__":
    main()
