//! Brings events to the shape of the protocol before they are handled: servers write some numbers as
//! text and some ids as numbers, and leave out of an item what the event says of it.

use serde_json::{Value, json};

/// Fields that hold an id.
const IDS: [&str; 6] = [
    "id",
    "item_id",
    "response_id",
    "call_id",
    "event_id",
    "previous_item_id",
];

/// Fields that hold a number.
const NUMBERS: [&str; 4] = [
    "content_index",
    "output_index",
    "audio_start_ms",
    "audio_end_ms",
];

/// Where a session holds numbers.
const RATES: [&str; 2] = ["/audio/input/format/rate", "/audio/output/format/rate"];

/// Brings a server event to the shape of the protocol, where that is clear.
pub(super) fn normalise(event: &mut Value) {
    write_ids_as_text(event);
    let (mut has_item, mut has_usage) = (false, false);
    // One pass over the fields takes less time than a look-up for each.
    for (key, value) in event.as_object_mut().into_iter().flatten() {
        match value {
            Value::String(_) if NUMBERS.contains(&&**key) => read_number(value),
            Value::Object(_) => match &**key {
                "item" => {
                    has_item = true;
                    write_ids_as_text(value);
                }
                "usage" => has_usage = true,
                "error" => write_ids_as_text(value),
                "response" => normalise_response(value),
                "session" => {
                    for pointer in RATES {
                        value.pointer_mut(pointer).map(read_number);
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    if has_item {
        complete_item(event);
    }
    if has_usage {
        complete_usage(event);
    }
}

/// Moves the usage of a response to where it belongs: xAI has it beside the response.
fn complete_usage(event: &mut Value) {
    if event["type"] != "response.done" {
        return;
    }
    let usage = event["usage"].clone();
    let is_empty = |known: &Value| known.as_object().is_none_or(serde_json::Map::is_empty);
    if let Some(response) = event.get_mut("response").and_then(Value::as_object_mut)
        && response.get("usage").is_none_or(is_empty)
    {
        response.insert("usage".to_owned(), usage);
    }
}

fn normalise_response(response: &mut Value) {
    write_ids_as_text(response);
    let output = response.get_mut("output").and_then(Value::as_array_mut);
    for item in output.into_iter().flatten() {
        write_ids_as_text(item);
        name_type(item);
    }
}

fn read_number(value: &mut Value) {
    if let Some(text) = value.as_str()
        && let Ok(number) = text.trim().parse::<u64>()
    {
        *value = number.into();
    }
}

/// Adds to the item of an event what only the event says.
fn complete_item(event: &mut Value) {
    let is_output = event
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.starts_with("response.output_item."));
    let item_id = event.get("item_id").filter(|id| id.is_string()).cloned();
    let Some(item) = event.get_mut("item").filter(|item| item.is_object()) else {
        return;
    };
    name_type(item);
    if !item["id"].is_string()
        && let Some(item_id) = item_id
    {
        item["id"] = item_id;
    }
    // A response is the assistant's.
    if is_output && item["type"] == "message" && !item["role"].is_string() {
        item["role"] = json!("assistant");
    }
}

/// Names the type of an item that names none, where its fields leave no doubt.
fn name_type(item: &mut Value) {
    let has = |key: &str| item.get(key).is_some_and(|value| !value.is_null());
    if !item.is_object() || has("type") {
        return;
    }
    let kind = match (has("call_id"), has("role")) {
        (true, false) if has("output") => "function_call_output",
        (true, false) if has("name") => "function_call",
        (false, true) if has("content") => "message",
        _ => return,
    };
    item["type"] = kind.into();
}

fn write_ids_as_text(holder: &mut Value) {
    let Some(fields) = holder.as_object_mut() else {
        return;
    };
    for (key, value) in fields {
        if value.is_number() && IDS.contains(&&**key) {
            *value = value.to_string().into();
        }
    }
}

/// The whole number under that key; 0 if there is none.
pub(super) fn index(value: &Value, key: &str) -> usize {
    let Some(value) = value.get(key) else {
        return 0;
    };
    // A whole number may be written `2.0`.
    let number = value
        .as_u64()
        .or_else(|| value.as_f64().map(|number| number as u64));
    number.map_or(0, |number| usize::try_from(number).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_become_text_and_numbers_become_numbers() {
        let mut event = json!({
            "item_id": 5, "content_index": "2", "item": {"id": 7, "call_id": 8},
            "response": {"id": 1.5, "output": [{"id": 3}, "x"]},
            "session": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": "16000"}}}},
        });
        normalise(&mut event);
        assert_eq!(
            event,
            json!({
                "item_id": "5", "content_index": 2, "item": {"id": "7", "call_id": "8"},
                "response": {"id": "1.5", "output": [{"id": "3"}, "x"]},
                "session": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            })
        );
    }

    #[test]
    fn what_has_its_type_or_none_that_is_known_stays() {
        for event in [
            json!({"item_id": null, "content_index": "x", "item": [1], "response": 5}),
            json!({"id": true, "item": {"id": "i"}, "response": {"output": {"id": 1}}}),
        ] {
            let mut settled = event.clone();
            normalise(&mut settled);
            assert_eq!(settled, event);
        }
    }

    #[test]
    fn an_item_gets_what_only_its_event_says() {
        let mut event = json!({
            "type": "response.output_item.done", "item_id": "i", "item": {"type": "message"},
        });
        normalise(&mut event);
        assert_eq!(
            event["item"],
            json!({"type": "message", "id": "i", "role": "assistant"})
        );
        let mut event = json!({"type": "conversation.item.added", "item": {"type": "message"}});
        normalise(&mut event);
        assert_eq!(event["item"], json!({"type": "message"}));
    }

    #[test]
    fn an_item_without_a_type_has_the_one_that_its_fields_show() {
        for (mut item, kind) in [
            (json!({"role": "user", "content": []}), json!("message")),
            (json!({"call_id": "c", "name": "n"}), json!("function_call")),
            (
                json!({"call_id": "c", "output": ""}),
                json!("function_call_output"),
            ),
            (json!({"name": "n"}), json!(null)),
        ] {
            name_type(&mut item);
            assert_eq!(item.get("type").unwrap_or(&json!(null)), &kind);
        }
    }

    #[test]
    fn usage_beside_a_response_is_the_responses() {
        let usage = json!({"total_tokens": 3});
        for response in [json!({}), json!({"usage": null}), json!({"usage": {}})] {
            let mut event =
                json!({"type": "response.done", "response": response, "usage": usage.clone()});
            normalise(&mut event);
            assert_eq!(event["response"]["usage"], usage);
        }
        let own = json!({"total_tokens": 5});
        let mut event =
            json!({"type": "response.done", "response": {"usage": own.clone()}, "usage": usage});
        normalise(&mut event);
        assert_eq!(event["response"]["usage"], own);
    }

    #[test]
    fn an_index_is_a_whole_number_however_it_is_written() {
        for (value, expected) in [
            (json!({"n": 2}), 2),
            (json!({"n": 2.0}), 2),
            (json!({"n": -1}), 0),
            (json!({"n": null}), 0),
            (json!({}), 0),
        ] {
            assert_eq!(index(&value, "n"), expected);
        }
    }
}
