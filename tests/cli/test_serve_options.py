"""What `stapes serve` is told: options, the configuration file, secrets; and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from stapes.calls import CallServer
from stapes.cli.app import app
from stapes.cli.serve.phones import Phone

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from stapes.cli.serve.options import ServeOptions

VARIABLES = (
    "TWILIO_AUTH_TOKEN",
    "PLIVO_AUTH_TOKEN",
    "SIGNALWIRE_AUTH_BEARER_TOKEN",
    "STAPES_CALL_TOKENS_SECRET",
)


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _serves_no_longer_than_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that should have refused does not hang the tests."""

    async def until_stopped(_server: CallServer, **_options: Any) -> None:
        return

    monkeypatch.setattr(CallServer, "until_stopped", until_stopped)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[ServeOptions]:
    """What the command would serve with."""
    told: list[ServeOptions] = []

    def take(_place: str, options: ServeOptions, _say: Any) -> None:
        told.append(options)

    monkeypatch.setattr("stapes.cli.serve.serving.run_serve", take)
    return told


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "desk.py"
    path.write_text("from stapes import RealtimeAgent\nagent = RealtimeAgent(name='Desk')\n")
    return path


def serve(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["serve", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "serve.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_configuration_file_has_the_options_by_their_names(
    told: list[ServeOptions], tmp_path: Path
) -> None:
    path = config(
        tmp_path,
        """\
        port = 9000
        public = true
        origin = ["https://app.example.com"]
        phone = ["vonage=/vonage", "asterisk=/asterisk"]
        speaks-first = "user"
        max-calls = 7
        drain = 5
        """,
    )

    ended = serve("desk.py", "--config", path)

    assert ended.exit_code == 0, ended.output
    (options,) = told
    assert (options.port, options.public, options.max_calls, options.drain) == (9000, True, 7, 5.0)
    assert options.origins == ("https://app.example.com",)
    assert [(phone.carrier, phone.path) for phone in options.phones] == [
        ("vonage", "/vonage"),
        ("asterisk", "/asterisk"),
    ]
    assert options.speaks_first == "user"
    assert options.host == "127.0.0.1"


def test_the_command_line_wins_over_the_file(told: list[ServeOptions], tmp_path: Path) -> None:
    path = config(tmp_path, 'port = 9000\npublic = true\norigin = ["https://a.example"]\n')

    arguments = ("--port", 9001, "--no-public", "--origin", "https://b.example")
    ended = serve("desk.py", *arguments, "--config", path)

    assert ended.exit_code == 0, ended.output
    (options,) = told
    assert (options.port, options.public) == (9001, False)
    assert options.origins == ("https://b.example",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 9000\n", "'prot', which is no option"),
        ("max_calls = 3\n", "'max_calls', which is no option"),
        ('twilio-auth-token = "secret-token"\n', "Secrets come from the environment"),
        ("ends-with-input = true\n", "'ends-with-input', which is no option"),
        ('config = "other.toml"\n', "'config', which is no option"),
        ('port = "high"\n', "--port"),
        ("port = 70000\n", "--port"),
        ('phone = "twilio=/twilio"\n', "phone has to be a list"),
        ("port = [1, 2]\n", "port has to be one value"),
        ("[port]\nfirst = 1\n", "port has to be one value"),
        ('speaks-first = "nobody"\n', "--speaks-first"),
        ("port 9000\n", "is not TOML"),
    ],
)
def test_a_wrong_configuration_file_is_refused_by_name(
    told: list[ServeOptions], tmp_path: Path, text: str, named: str
) -> None:
    ended = serve("desk.py", "--config", config(tmp_path, text))

    assert ended.exit_code == 2
    assert named in _unwrapped(ended)
    assert "secret-token" not in ended.output
    assert not told


def test_a_missing_configuration_file_is_named(told: list[ServeOptions], tmp_path: Path) -> None:
    ended = serve("desk.py", "--config", tmp_path / "none.toml")

    assert ended.exit_code == 2
    # A long path is broken across lines.
    assert "none.toml" in _unwrapped(ended).replace(" ", "")
    assert not told


def test_carriers_that_sign_are_checked_with_secrets_of_the_environment(
    told: list[ServeOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret-of-twilio")
    monkeypatch.setenv("STAPES_CALL_TOKENS_SECRET", "a secret of sixteen characters")
    phones = ("--phone", "twilio=/twilio", "--phone", "telnyx=/telnyx")

    ended = serve("desk.py", *phones, "--public-url", "wss://voice.example.com")

    assert ended.exit_code == 0, ended.output
    twilio, telnyx = told[0].phones
    assert isinstance(twilio, Phone)
    assert twilio.checks == {"auth_token": "secret-of-twilio"}
    assert list(telnyx.checks) == ["tokens"]
    assert "secret" not in repr(told[0])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--phone", "twilio"], "CARRIER=PATH"),
        (["--phone", "twillio=/twilio"], "the carriers are"),
        (["--phone", "twilio=twilio"], "CARRIER=PATH"),
        (["--phone", "browser=/page"], "the carriers are"),
        (["--phone", "audiosocket=/a"], "--audiosocket"),
        (["--phone", "vonage=/a", "--phone", "telnyx=/a"], "two carriers have the path /a"),
        (["--phone", "vonage=/talk"], "/talk"),
        (["--dev", "--url", "ws://127.0.0.1:1"], "give one of the two"),
        (["--url", "voice.example.com?key=secret"], "--url"),
        (["--public-url", "secret-of-mine"], "public_url"),
        (["--host", "here"], "host is 'here'"),
        (["--host", "0.0.0.0"], "--public"),
        (["--host", "0.0.0.0", "--no-page", "--phone", "vonage=/v"], "/v: add --public"),
        (["--host", "0.0.0.0", "--no-page", "--audiosocket", "0"], "AudioSocket: add --public"),
        (["--no-page"], "nothing to serve"),
        (["--certificate", "cert.pem"], "both"),
        (["--certificate", "none.pem", "--key", "none.pem"], "none.pem"),
        (["--origin", "app.example.com"], "origin"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    agent: Path, arguments: list[str], named: str
) -> None:
    ended = serve(agent, "--port", 0, *arguments)

    assert ended.exit_code == 1, ended.output
    assert named in ended.output
    assert "Traceback" not in ended.output
    assert "key=secret" not in ended.output


def test_where_each_route_is_checked_strangers_may_reach_it(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAPES_CALL_TOKENS_SECRET", "a secret of sixteen characters")
    arguments = ("--host", "0.0.0.0", "--no-page", "--phone", "vonage=/vonage")

    ended = serve(agent, "--port", 0, *arguments)

    assert ended.exit_code == 0, ended.output
    assert "one-time tokens are checked" in ended.output


def test_with_public_anybody_may_call_and_is_told_of_the_microphone(agent: Path) -> None:
    arguments = ("--host", "0.0.0.0", "--public", "--phone", "vonage=/v", "--audiosocket", 0)

    ended = serve(agent, "--port", 0, *arguments)

    assert ended.exit_code == 0, ended.output
    assert "anyone may call" in ended.output
    assert "microphone over https only" in ended.output
    assert "http://localhost:" in ended.output


def test_a_signing_carrier_needs_the_public_url(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret-of-twilio")

    ended = serve(agent, "--phone", "twilio=/twilio")

    assert ended.exit_code == 1
    assert "--public-url" in ended.output
    assert "secret-of-twilio" not in ended.output


def test_too_short_a_secret_of_tokens_is_refused_unseen(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAPES_CALL_TOKENS_SECRET", "hush")

    ended = serve(agent, "--phone", "vonage=/vonage")

    assert ended.exit_code == 1
    assert "STAPES_CALL_TOKENS_SECRET" in ended.output
    assert "hush" not in ended.output


def test_a_port_that_is_taken_is_named(agent: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = serve(agent, "--port", taken.getsockname()[1])

    assert ended.exit_code == 1
    assert str(taken) not in ended.output
    assert "in use" in ended.output


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "there is no file"),
        ("raise ValueError('oh dear')\n", "oh dear"),
        ("x = 1\n", "has no agent"),
    ],
)
def test_a_file_without_an_agent_is_refused(tmp_path: Path, text: str | None, named: str) -> None:
    path = tmp_path / "agent.py"
    if text is not None:
        path.write_text(text)

    ended = serve(path)

    assert ended.exit_code == 1
    assert named in ended.output


def _unwrapped(ended: Result) -> str:
    """What was said, without the frame and the line breaks of rich."""
    return " ".join(ended.output.replace("│", " ").split())
