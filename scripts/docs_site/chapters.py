"""The pages of the API reference, and which names stand on which."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHAPTERS", "INTERNAL", "MODULES", "Chapter", "Section"]

# What users import from: each public name of these stands on a page.
MODULES = (
    "stapes",
    "stapes.agents_sdk",
    "stapes.audio",
    "stapes.calls",
    "stapes.config",
    "stapes.devserver",
    "stapes.errors",
    "stapes.events",
    "stapes.items",
    "stapes.providers",
    "stapes.session",
    "stapes.speech_events",
    "stapes.testing",
    "stapes.testing.pytest_plugin",
    "stapes.transcription",
    "stapes.transport",
    "stapes.web",
)

# What one part of the package has for another one: neither described nor promised.
INTERNAL = frozenset(
    {
        "stapes.EventLoop.dispatch_with",
        "stapes.PlaybackTracker.attach",
        "stapes.RealtimeSession.probe",
        "stapes.WebRTCTransport.core_options",
        "stapes.WebSocketTransport.core_options",
        "stapes.calls.AsgiCall.handle",
        "stapes.calls.Call.attach_reader",
        "stapes.calls.Call.core",
        "stapes.calls.Call.detach_reader",
        "stapes.calls.Call.follow",
        "stapes.calls.Call.handle",
        "stapes.calls.Call.spend",
        "stapes.calls.CallOptions.check_for",
        "stapes.calls.CallServer.handle",
        "stapes.config.check_config",
        "stapes.config.check_turn_detection",
        "stapes.config.whole_number",
        "stapes.config.wire_format",
        "stapes.devserver.Record.add",
        "stapes.devserver.Record.add_frame",
        "stapes.testing.AgentTurn.awaited",
        "stapes.testing.AgentTurn.task",
    }
)


@dataclass(frozen=True, slots=True)
class Section:
    """Names under one heading.

    Attributes:
        title: the heading; empty: none.
        module: from where they are imported.
        names: separated by blanks; empty: all of the module that no other section names.
    """

    title: str
    module: str
    names: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A page.

    Attributes:
        file: its name in `reference/`, without the suffix.
        title: its heading.
        text: what stands below it.
        sections: its names.
    """

    file: str
    title: str
    text: str
    sections: tuple[Section, ...]


CHAPTERS = (
    Chapter(
        "session",
        "Sessions",
        "A session holds a conversation between a person and a model. It runs your tools, "
        "handoffs and guardrails. All names on this page are imported from `stapes`.\n\n"
        "A method that returns a `Completion` takes effect when it is called. Awaiting what it "
        "returned waits for the end, and raises what went wrong.",
        (
            Section("Sessions", "stapes", "RealtimeSession RealtimeAgent RealtimeOutputGuardrail"),
            Section(
                "Inside tools",
                "stapes",
                "current_session background_result BackgroundResult ToolExecution ToolApproval",
            ),
            Section("Connections", "stapes", "ReconnectPolicy SessionStats RateLimit"),
            Section("Sound", "stapes", "AudioStream PlaybackTracker"),
            Section("Event loop", "stapes", "run EventLoop"),
            Section("Version", "stapes", "__version__"),
        ),
    ),
    Chapter(
        "events",
        "Events",
        "What happens in a session. Each event is a frozen class. `event.type` is the name "
        "that `session.on(...)` takes. All names on this page are imported from `stapes`.",
        (
            Section("Connection", "stapes", "ConnectionChanged SessionRestored MediaChanged"),
            Section("Answers", "stapes", "AgentStart AgentEnd ResponseDone Timings"),
            Section(
                "Sound",
                "stapes",
                "Audio AudioStart AudioStopped AudioInterrupted PlaybackEnded",
            ),
            Section("Words", "stapes", "TranscriptDelta TranscriptionFailed"),
            Section("History", "stapes", "HistoryAdded HistoryUpdated"),
            Section(
                "Tools, handoffs, guardrails",
                "stapes",
                "AgentToolStart AgentToolEnd ToolApprovalRequested AgentHandoff GuardrailTripped "
                "ToolCall McpTool McpToolsChanged McpToolCallCompleted",
            ),
            Section("The line", "stapes", "DtmfReceived CallPlaybackChanged IdleTimeoutTriggered"),
            Section("Trouble", "stapes", "Error Lagging TransportEvent"),
            Section("Types", "stapes", "SessionEvent AnyEvent"),
        ),
    ),
    Chapter(
        "errors",
        "Errors",
        "Every exception of stapes is a `StapesError`. Wrong use raises `agents.UserError`, "
        "`ValueError` or `TypeError`, which name the argument. The connection errors are "
        "imported from `stapes`, those of calls from `stapes.calls`.",
        (
            Section(
                "Sessions",
                "stapes",
                "StapesError ConnectError ConnectTimeoutError CertificateError HandshakeError "
                "AuthenticationError ConnectionLostError NotConnectedError NotSupportedError "
                "ServerError ConsumerTooSlow ToolOutputNotSent",
            ),
            Section(
                "Calls",
                "stapes.calls",
                "CallError OriginError OfferError SignatureError TokenError TokenExpiredError "
                "TokenForgedError TokenMalformedError TokenPathError TokenUsedError "
                "TooManyTokensError",
            ),
        ),
    ),
    Chapter(
        "history",
        "History",
        "What was said and done, as `session.history` has it. An item is frozen; a change "
        "makes a new one.",
        (
            Section(
                "Items",
                "stapes",
                "HistoryItem MessageItem FunctionCallItem McpCallItem McpApprovalRequestItem",
            ),
            Section(
                "Parts of a message",
                "stapes",
                "InputText InputAudio InputImage OutputText OutputAudio OtherPart",
            ),
            Section("As JSON, and types", "stapes.items"),
        ),
    ),
    Chapter(
        "configuration",
        "Configuration",
        "`RealtimeSession(config=...)` takes the provider's configuration of a session, in "
        "the provider's names. It is a plain dictionary; the types check it.",
        (
            Section("Session", "stapes", "SessionConfig"),
            Section("Its parts", "stapes.config"),
        ),
    ),
    Chapter(
        "transports",
        "Transports",
        "How a session reaches the provider: `RealtimeSession(transport=...)`.",
        (
            Section("Ready to use", "stapes", "WebSocketTransport WebRTCTransport IceServer"),
            Section("Measured", "stapes", "SoundStatistics"),
            Section(
                "A transport of your own",
                "stapes",
                "RealtimeTransport TransportLine TransportRequest",
            ),
            Section("Types", "stapes.transport"),
        ),
    ),
    Chapter(
        "providers",
        "Providers",
        "Which service a session talks to: `RealtimeSession(provider=...)`. All names on this "
        "page are imported from `stapes.providers`.",
        (
            Section(
                "Services",
                "stapes.providers",
                "named NAMES OpenAI Azure AzureOpenAI AzureVoiceLive XAI Qwen ElevenLabs Inworld "
                "Local",
            ),
            Section("A profile of your own", "stapes.providers"),
        ),
    ),
    Chapter(
        "calls",
        "Calls",
        "Phone calls and calls from web pages. All names on this page are imported from "
        "`stapes.calls`.",
        (
            Section(
                "Servers",
                "stapes.calls",
                "CallServer TwilioCall AsgiCall BrowserCall WebRTCCall BROWSER_SUBPROTOCOL",
            ),
            Section(
                "A call",
                "stapes.calls",
                "Call CallOptions ListenOptions WebRTCCallOptions CallSummary PageEvents",
            ),
            Section(
                "Events of a call",
                "stapes.calls",
                "Dtmf CallHeld CallInterrupted CallResumed CallIdle CallFrameIgnored CallMessage "
                "CallEnded CallEvent",
            ),
            Section(
                "Answers to webhooks",
                "stapes.calls",
                "twiml_connect signalwire_connect telnyx_connect plivo_connect vonage_connect "
                "jambonz_listen",
            ),
            Section(
                "Who may call",
                "stapes.calls",
                "CallTokens validate_twilio validate_signalwire validate_telnyx validate_plivo "
                "validate_vonage TOKEN_PARAMETER",
            ),
            Section("Types", "stapes.calls"),
        ),
    ),
    Chapter(
        "audio",
        "Audio",
        "Sound on its own: sample rates, G.711 (mu-law and A-law), Opus, levels, WAV files. "
        "All names on this page are imported from `stapes.audio`.\n\n"
        "`Samples` are PCM of 16 bit, little endian, as anything bytes-like, or an array of int16 "
        "or of float32 (-1 to 1). `Out` is `bytes`, or the array that `output=` names.",
        (Section("", "stapes.audio"),),
    ),
    Chapter(
        "transcription",
        "Transcription and translation",
        "Sessions without an agent: speech is written down, or spoken in another language.",
        (
            Section(
                "Sessions", "stapes.transcription", "RealtimeTranscription RealtimeTranslation"
            ),
            Section("Events", "stapes.transcription"),
        ),
    ),
    Chapter(
        "testing",
        "Testing",
        "Test your agents without a key and without a network. All names are imported from "
        "`stapes.testing`.",
        (
            Section("Calls of a test", "stapes.testing", "AgentCall AgentTurn ToolUse Caller"),
            Section("The pytest plugin", "stapes.testing.pytest_plugin"),
            Section(
                "Servers",
                "stapes.testing",
                "DevServer Options Rudeness Drop ScriptedMind Turn Say Call ToneVoice",
            ),
            Section("Time and order", "stapes.testing"),
        ),
    ),
    Chapter(
        "development-server",
        "Development server",
        "The server behind `stapes dev-server`, for programs and tests. All names are "
        "imported from `stapes.devserver`.",
        (Section("", "stapes.devserver"),),
    ),
    Chapter(
        "agents-sdk",
        "Agents SDK",
        "A model for the runner of `openai-agents`.",
        (Section("", "stapes.agents_sdk"),),
    ),
    Chapter(
        "web",
        "Web files",
        "The files of `stapes.js` and of the page of `stapes serve`, for servers of your own.",
        (Section("", "stapes.web"),),
    ),
)
