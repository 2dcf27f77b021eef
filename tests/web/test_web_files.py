"""The files that browsers are given, and the package for JavaScript that they are."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from stapes.calls import BROWSER_SUBPROTOCOL, TOKEN_PARAMETER
from stapes.web import CLIENT_DIRECTORY, WebFile, client_files, page_files

MOST_LINES = 500


def test_the_page_is_all_there():
    files = page_files()
    assert files["/"].content_type == "text/html; charset=utf-8"
    loaded = re.findall(r'(?:href|src)="([^"]+)"', files["/"].content.decode())
    for path, file in files.items():
        if path.endswith(".js"):
            code = file.content.decode()
            loaded += re.findall(r'(?:from|import\(|new URL\()\s*"\./([^"]+)"', code)
    assert loaded
    assert {f"/{name}" for name in loaded} <= set(files)
    assert all(not name.startswith(("/", "http")) for name in loaded), "it is served anywhere"


def test_the_page_runs_nothing_inline():
    page = page_files()["/"].content.decode()
    assert not re.findall(r"<script(?![^>]*src=)|<style|style=|\son\w+=", page)


def test_the_client_is_part_of_the_page():
    assert set(client_files()) <= set(page_files())
    assert "/stapes.js" in client_files()
    assert "/worklet.js" in client_files()


def test_the_client_has_the_names_of_the_wire_that_the_server_has():
    code = b"".join(file.content for file in client_files().values()).decode()
    assert re.findall(r'^const PROTOCOL = "(.*)";', code, re.M) == [BROWSER_SUBPROTOCOL]
    assert re.findall(r'^const TOKEN = "(.*)";', code, re.M) == [TOKEN_PARAMETER]


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "page.php").write_text("")
    with pytest.raises(ValueError, match=r"page\.php"):
        WebFile.read(tmp_path / "page.php")


@pytest.mark.parametrize("path", sorted(page_files()))
def test_files_are_of_a_size_to_be_read(path):
    assert page_files()[path].content.count(b"\n") <= MOST_LINES


def test_each_exported_name_has_a_type():
    exported = r"^export (?:(?:class|function|const|async function) (\w+)|\{ (\w+) \} from)"
    for module in ("stapes", "webrtc"):
        code, types = (
            {name or passed_on for name, passed_on in re.findall(exported, file.read_text(), re.M)}
            for file in (CLIENT_DIRECTORY / f"{module}.js", CLIENT_DIRECTORY / f"{module}.d.ts")
        )
        assert code == types


def test_the_package_for_javascript_is_of_the_same_version():
    workspace = tomllib.loads((Path(__file__).parents[2] / "Cargo.toml").read_text())["workspace"]
    package = json.loads((CLIENT_DIRECTORY / "package.json").read_text())
    assert package["version"] == workspace["package"]["version"]
    for entry in package["exports"].values():
        for file in [entry] if isinstance(entry, str) else entry.values():
            assert (CLIENT_DIRECTORY / file).exists()
