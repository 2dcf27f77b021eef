"""The configuration of a session as the server gets it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from stapes.config import wire_format
from stapes.providers.refusing import refusal
from stapes.session.agents.payload import session_payload
from stapes.session.agents.snapshot import prepare_agent
from stapes.session.failures import uncancelled
from stapes.session.tracing import tracing_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.realtime import RealtimeAgent

    from stapes.providers import AudioFormats
    from stapes.session.agents.snapshot import AgentSnapshot
    from stapes.session.options import SessionOptions
    from stapes.session.scope import Scope

__all__ = ["Configuration"]

logger = logging.getLogger("stapes")


class Configuration:
    """Makes the payloads of one session, and remembers the model, voice and formats in use.

    Args:
        scope: the session's.
        options: the user's.
    """

    __slots__ = ("_connected_model", "_options", "_scope", "_tracing", "_voice", "wire_rate")

    def __init__(self, scope: Scope, options: SessionOptions) -> None:
        self._scope = scope
        self._options = options
        self._connected_model: str | None = None
        self._voice: str | None = None
        self._tracing = tracing_config(
            disabled=options.tracing_disabled,
            workflow_name=options.workflow_name,
            group_id=options.group_id,
            metadata=options.trace_metadata,
        )
        self.wire_rate = 0
        """The rate of the answer's sound on the wire, in Hz."""
        self._set_formats(options.config.get("audio", {}))

    def model(self, asked_for: str | None) -> str:
        """The model of a connection: what is asked for, or the session's, or the provider's."""
        options = self._options
        return (
            asked_for
            or options.model
            or options.config.get("model")
            or options.provider.default_model
        )

    async def initial(
        self, agent: RealtimeAgent[Any], model: str
    ) -> tuple[AgentSnapshot, dict[str, Any]]:
        """The initial agent as it is now, and the payload that a connection begins with."""
        where = f"agent {agent.name!r}"
        with self._scope.tasks.owning():
            snapshot = await uncancelled(prepare_agent(agent, self._scope.context), where)
            return snapshot, await uncancelled(self.payload(snapshot, model=model), where)

    async def payload(
        self, snapshot: AgentSnapshot, *, switching: bool = False, model: str | None = None
    ) -> dict[str, Any]:
        """The payload with which that agent is in charge.

        Args:
            snapshot: the agent.
            switching: the agent replaces another one, whose tools must not stay.
            model: of a new connection; `None`: that of the connection that stands.
        """
        options = self._options
        config = options.config
        chosen = model or self._connected_model or options.model or options.provider.default_model
        if model is not None and "model" in config:
            config = {**config, "model": model}
        payload = options.transport.configure(
            await session_payload(
                snapshot,
                self._scope.context,
                config,
                options.provider,
                chosen,
                switching=switching,
            )
        )
        output = payload["audio"]["output"]
        if options.provider.capabilities.changes_voice or not self._scope.core.has_spoken:
            self._voice = output.get("voice")
        elif (
            output.get("voice") != self._voice
            and (left_out := output.pop("voice", None)) is not None
        ):
            # The provider would refuse the whole update, the new agent's instructions included.
            logger.info("the session has spoken: it keeps its voice, %r is left out", left_out)
        return payload

    def connecting(self, payload: Mapping[str, Any], model: str) -> None:
        """Takes note of what a new connection begins with."""
        self._connected_model = model
        self._set_formats(payload["audio"])

    def tracing_update(self) -> str:
        """The `tracing` of the session's configuration, as JSON."""
        return json.dumps(self._tracing)

    @staticmethod
    def session_update(payload: Mapping[str, Any]) -> str:
        """A `session.update` event, as JSON."""
        return json.dumps({"type": "session.update", "session": payload}, ensure_ascii=False)

    def _set_formats(self, audio: Mapping[str, Any]) -> None:
        """Tells the core the formats on the wire: `audio` is that of a session's configuration."""
        provider = self._options.provider

        def of(direction: str, offered: AudioFormats) -> tuple[str, int | None]:
            where = f"config.audio.{direction}.format"
            given = audio.get(direction, {}).get("format", offered.usual)
            found = wire_format(given, where)
            if (instead := offered.why_not(found)) is not None:
                raise refusal(provider, f"{where} {dict(found)}", instead)
            return found["type"], found.get("rate")

        given, made = of("input", provider.input_audio), of("output", provider.output_audio)
        self.wire_rate = self._scope.core.set_formats(given, made, self._options.output_sample_rate)
