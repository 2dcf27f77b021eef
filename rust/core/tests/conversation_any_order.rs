//! Any events in any order: the conversation never panics, and its invariants hold.

mod invariants;

use invariants::{Act, Watched};
use proptest::prelude::*;
use serde_json::{Value, json};
use stapes_core::conversation::Capabilities;

#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands at the end of `prop_map`s"
)]
fn frame(value: Value) -> Act {
    Act::Frame(value.to_string())
}

fn response() -> impl Strategy<Value = String> {
    (0..4u8).prop_map(|n| format!("resp_{n}"))
}

fn item() -> impl Strategy<Value = String> {
    (0..5u8).prop_map(|n| format!("item_{n}"))
}

fn place() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("root")),
        item().prop_map(Value::String)
    ]
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!([])),
        Just(json!([{"type": "output_audio", "transcript": "one two"}])),
        Just(json!([{"type": "output_text", "text": "one two"}])),
        Just(json!([{"type": "input_audio", "transcript": null}])),
        Just(json!([{"type": "input_image", "image_url": "data:x"}, 5, null])),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    (item(), prop_oneof![Just("user"), Just("assistant"), Just("system"), Just("nobody")], content())
        .prop_map(|(id, role, content)| {
            json!({"id": id, "type": "message", "role": role, "content": content})
        })
}

fn call() -> impl Strategy<Value = Value> {
    (0..4u8, any::<bool>(), any::<bool>()).prop_map(|(n, other, whole)| {
        json!({"id": format!("item_f{n}"), "type": "function_call", "call_id": format!("call_{n}"),
               "name": "tool", "arguments": if other { "{}" } else { "{\"a\":1}" },
               "status": if whole { "completed" } else { "in_progress" }})
    })
}

fn of_responses() -> impl Strategy<Value = Act> {
    let id = response();
    prop_oneof![
        response().prop_map(|id| json!({"type": "response.created", "response": {"id": id}})),
        Just(json!({"type": "response.created", "response": {}})),
        response().prop_map(|id| json!({"type": "response.done", "response": {"id": id}})),
        Just(json!({"type": "response.done", "response": {"output": [1, {"type": "message"}]}})),
        (id, item(), 0..3u64, 0..40usize).prop_map(|(id, item, part, words)| {
            json!({"type": "response.output_audio.delta", "response_id": id, "item_id": item,
                   "content_index": part, "delta": "AAAA".repeat(words * 16)})
        }),
        (response(), item()).prop_map(|(id, item)| {
            json!({"type": "response.output_audio.delta", "response_id": id, "item_id": item, "delta": "?"})
        }),
        response().prop_map(|id| json!({"type": "response.output_audio.done", "response_id": id})),
        (response(), item()).prop_map(|(id, item)| {
            json!({"type": "response.output_audio_transcript.delta", "response_id": id,
                   "item_id": item, "delta": "w".repeat(60)})
        }),
        (response(), item()).prop_map(|(id, item)| {
            json!({"type": "response.output_text.delta", "response_id": id, "item_id": item,
                   "delta": "w".repeat(60)})
        }),
        (response(), call()).prop_map(|(id, item)| {
            json!({"type": "response.output_item.done", "response_id": id, "item": item})
        }),
        (response(), message()).prop_map(|(id, item)| {
            json!({"type": "response.output_item.added", "response_id": id, "item": item})
        }),
    ]
    .prop_map(frame)
}

fn of_the_conversation() -> impl Strategy<Value = Act> {
    prop_oneof![
        (message(), place()).prop_map(|(item, before)| {
            json!({"type": "conversation.item.added", "item": item, "previous_item_id": before})
        }),
        message().prop_map(|item| json!({"type": "conversation.item.done", "item": item})),
        item().prop_map(|id| json!({"type": "conversation.item.deleted", "item_id": id})),
        item().prop_map(|id| json!({"type": "conversation.item.truncated", "item_id": id})),
        item().prop_map(|id| {
            json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": id,
                   "transcript": "said"})
        }),
        Just(json!({"type": "input_audio_buffer.speech_started"})),
        Just(json!({"type": "input_audio_buffer.speech_stopped"})),
        any::<bool>().prop_map(|own| {
            json!({"type": "session.updated", "session": {"audio": {"input": {
                "turn_detection": {"interrupt_response": own}}}}})
        }),
        Just(json!({"type": "session.created", "session": {"tracing": {}}})),
        prop_oneof![
            Just("response_cancel_not_active"),
            Just("conversation_already_has_active_response"),
            Just("other"),
        ]
        .prop_map(|code| json!({"type": "error", "error": {"code": code, "message": "m"}})),
        (1..4u8).prop_map(|n| {
            json!({"type": "error", "error": {"event_id": format!("stapes_response_create_{n}")}})
        }),
        (item(), any::<bool>()).prop_map(|(id, whole)| {
            json!({"type": "conversation.item.done", "item": {"id": id, "type": "mcp_call",
                   "name": "search", "arguments": "{}", "output": if whole { json!("x") } else { json!(null) }}})
        }),
        (item(), any::<bool>()).prop_map(|(id, right)| {
            json!({"type": "conversation.item.done", "item": {"id": id, "type": "mcp_approval_request",
                   "arguments": if right { "{}" } else { "{" }}})
        }),
        Just(json!({"type": "a.new.kind", "anything": [1, 2]})),
    ]
    .prop_map(frame)
}

/// Events and audio of a server that plays its answers itself, over a media track.
fn of_the_media_track() -> impl Strategy<Value = Act> {
    prop_oneof![
        (
            response(),
            prop_oneof![Just("started"), Just("stopped"), Just("cleared")]
        )
            .prop_map(|(id, what)| {
                frame(json!({"type": format!("output_audio_buffer.{what}"), "response_id": id}))
            }),
        (response(), item(), 0..3u64).prop_map(|(id, item, part)| {
            frame(
                json!({"type": "response.content_part.added", "response_id": id,
                         "item_id": item, "content_index": part, "part": {"type": "audio"}}),
            )
        }),
        (0..500u32).prop_map(Act::TrackAudio),
        Just(Act::SegmentEnds),
    ]
}

fn of_this_side() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::SendMessage),
        1 => Just(Act::Create),
        2 => Just(Act::Interrupt),
        2 => (0..400u32).prop_map(Act::Wait),
        1 => Just(Act::Wait(31_000)),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(call, respond)| Act::Answer { call, respond }),
        1 => any::<usize>().prop_map(|call| Act::Ask { call }),
        1 => any::<usize>().prop_map(|call| Act::Resume { call }),
        1 => any::<usize>().prop_map(|call| Act::HandOff { call }),
        1 => any::<bool>().prop_map(|text| Act::Trip { text }),
        1 => any::<bool>().prop_map(|clear| Act::Rewrite { clear }),
        1 => Just(Act::Lose),
        1 => Just(Act::Close),
        3 => Just(Act::Connect),
        1 => (0..9usize).prop_map(Act::Binary),
        1 => ".{0,40}".prop_map(Act::Frame),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_invariants_hold_whatever_happens(
        acts in prop::collection::vec(
            prop_oneof![6 => of_responses(), 3 => of_the_conversation(), 3 => of_this_side()],
            0..150,
        )
    ) {
        let mut watched = Watched::new();
        for act in &acts {
            watched.act(act);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_same_holds_where_audio_travels_on_a_media_track(
        acts in prop::collection::vec(
            prop_oneof![
                6 => of_responses(),
                6 => of_the_media_track(),
                3 => of_the_conversation(),
                3 => of_this_side(),
            ],
            0..150,
        )
    ) {
        let mut watched = Watched::over(Capabilities::MEDIA_TRACK);
        for act in &acts {
            watched.act(act);
        }
    }
}

#[test]
fn the_watcher_sees_a_request_made_while_a_response_is_active() {
    // The property tests prove something only if the watcher notices requests.
    let mut watched = Watched::new();
    watched.act(&frame(
        json!({"type": "response.created", "response": {"id": "r"}}),
    ));
    watched.act(&Act::SendMessage);
    watched.act(&frame(
        json!({"type": "response.done", "response": {"id": "r"}}),
    ));
    assert!(
        watched.is_requested(),
        "the request waits for the end of the response, no longer"
    );
}
