from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stapes.cli.load_agent import AgentFileError, load_agent, split_place

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from stapes import RealtimeAgent\n"


def write(directory: Path, text: str, name: str = "desk.py") -> str:
    path = directory / name
    path.write_text(text, "utf-8")
    return str(path)


def test_the_variable_agent_is_the_agent(tmp_path: Path) -> None:
    text = HEAD + "other = RealtimeAgent(name='Other')\nagent = RealtimeAgent(name='Desk')\n"

    assert load_agent(write(tmp_path, text)).name == "Desk"


def test_the_only_agent_is_the_agent_whatever_its_name(tmp_path: Path) -> None:
    assert load_agent(write(tmp_path, HEAD + "desk = RealtimeAgent(name='Desk')")).name == "Desk"


def test_a_name_after_a_colon_picks_one_of_several(tmp_path: Path) -> None:
    place = write(tmp_path, HEAD + "a = RealtimeAgent(name='A')\nb = RealtimeAgent(name='B')\n")

    assert load_agent(f"{place}:b").name == "B"
    with pytest.raises(AgentFileError, match=r"several agents \(a, b\).*desk.py:a"):
        load_agent(place)


def test_an_agent_of_openai_agents_itself_works(tmp_path: Path) -> None:
    text = "from agents.realtime import RealtimeAgent\nagent = RealtimeAgent(name='Plain')\n"

    assert load_agent(write(tmp_path, text)).name == "Plain"


def test_the_file_may_import_its_neighbours_and_have_the_name_of_a_package(tmp_path: Path) -> None:
    write(tmp_path, "NAME = 'Neighbour'\n", "stapes_test_neighbour.py")
    text = HEAD + "from stapes_test_neighbour import NAME\nagent = RealtimeAgent(name=NAME)\n"

    assert load_agent(write(tmp_path, text, "agents.py")).name == "Neighbour"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "has no agent"),
        ("import nothing_of_this_name\n", r"No module named 'nothing_of_this_name' \(line 1\)"),
        ("x = 1\n\nraise ValueError('too late')\n", r"ValueError: too late \(line 3\)"),
        ("def broken(:\n", r"SyntaxError.*line 1"),
    ],
)
def test_a_file_that_gives_no_agent_is_refused_with_the_reason(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(AgentFileError, match=message):
        load_agent(write(tmp_path, text))


def test_a_missing_file_and_a_wrong_name_are_told_apart(tmp_path: Path) -> None:
    place = write(tmp_path, HEAD + "agent = RealtimeAgent(name='Desk')\nnumber = 3\n")

    with pytest.raises(AgentFileError, match="there is no file"):
        load_agent(str(tmp_path / "nowhere.py"))
    with pytest.raises(AgentFileError, match="has no variable nobody"):
        load_agent(f"{place}:nobody")
    with pytest.raises(AgentFileError, match=r"number in .* is a int, not a RealtimeAgent"):
        load_agent(f"{place}:number")


def test_the_colon_of_a_drive_is_no_name() -> None:
    assert split_place("C:\\desk.py")[1] is None
    assert split_place("desk.py:agent")[1] == "agent"
