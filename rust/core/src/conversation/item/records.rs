//! Items and their parts as records of named fields.

use serde_json::Value;

use super::{ContentPart, Item, ItemId, ItemKind, ItemPosition, Progress, Role};
use crate::conversation::record::{Field, FieldValue, Record, RecordType, fields, records};

/// JSON that is handed out as the value that it says.
struct Data(Value);

fields! {
    Role, "str", |role| FieldValue::Text(role.as_str());
    Progress, "str", |progress| FieldValue::Text(progress.as_str());
    Data, "data", |data| FieldValue::Data(&data.0);
    Vec<ContentPart>, "parts", |parts| FieldValue::Parts(parts);
}

impl Field for ItemPosition {
    const TYPE: &'static str = "str | unset | None";

    fn value(&self) -> FieldValue<'_> {
        match self {
            Self::Unstated => FieldValue::Unset,
            Self::First => FieldValue::Nothing,
            Self::After(previous) => FieldValue::Text(previous),
        }
    }
}

records! {
    Item {
        MessageItem: Item { id, position, kind: ItemKind::Message { role, status, content } } => {
            item_id: ItemId = id,
            role: Role = role,
            content: Vec<ContentPart> = content,
            status: Option<Progress> = status,
            previous_item_id: ItemPosition = position,
            type: &'static str = "message",
        }
        FunctionCallItem: Item {
            id, kind: ItemKind::FunctionCall { call_id, name, arguments, output, status }, ..
        } => {
            item_id: ItemId = id,
            name: String = name,
            arguments: String = arguments,
            output: Option<String> = output,
            status: Progress = status,
            call_id: Option<String> = call_id,
            type: &'static str = "function_call",
        }
        McpCallItem: Item {
            id, kind: ItemKind::McpCall { wire_type, name, arguments, output, error, status }, ..
        } => {
            item_id: ItemId = id,
            name: String = name,
            arguments: String = arguments,
            output: Option<String> = output,
            status: Progress = status,
            type: &'static str = wire_type,
            error: Option<String> = error,
        }
        McpApprovalRequestItem: Item {
            id, kind: ItemKind::McpApprovalRequest { server_label, name, arguments, approved }, ..
        } => {
            item_id: ItemId = id,
            server_label: String = server_label,
            name: String = name,
            arguments: Data = Data(Value::Object(arguments.clone())),
            approved: Option<bool> = approved,
            type: &'static str = "mcp_approval_request",
        }
    }
}

records! {
    ContentPart {
        InputText: ContentPart::InputText { text } => {
            text: String = text,
            type: &'static str = "input_text",
        }
        InputAudio: ContentPart::InputAudio { audio, transcript } => {
            transcript: Option<String> = transcript,
            audio: Option<String> = audio,
            type: &'static str = "input_audio",
        }
        InputImage: ContentPart::InputImage { image_url, detail } => {
            image_url: String = image_url,
            detail: Option<String> = detail,
            type: &'static str = "input_image",
        }
        OutputText: ContentPart::OutputText { text } => {
            text: String = text,
            type: &'static str = "output_text",
        }
        OutputAudio: ContentPart::OutputAudio { audio, transcript, heard } => {
            transcript: Option<String> = transcript,
            audio: Option<String> = audio,
            audio_end_ms: Option<u64> = heard.as_ref().map(|heard| heard.audio_end_ms),
            heard: Option<String> = heard.as_ref().map(|heard| heard.transcript.clone()),
            type: &'static str = "output_audio",
        }
        OtherPart: ContentPart::Other { raw } => { raw: Data = Data(raw.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(record: &impl Record, types: &[RecordType]) -> Vec<String> {
        let mut names = types[record.index()].fields.iter().map(|(name, _)| name);
        let mut found = Vec::new();
        let visited = record.visit(|value| {
            let name = names.next().expect("a field for each value");
            found.push(format!("{name}: {value:?}"));
            Ok::<_, ()>(())
        });
        assert_eq!((visited, names.next()), (Ok(()), None));
        found
    }

    #[test]
    fn a_message_gives_its_fields_in_their_order() {
        let wire = json!({"id": "a", "role": "system", "content": []});
        let item = Item::message(&wire, ItemPosition::First, Progress::Completed);
        let expected = [
            r#"item_id: Text("a")"#,
            r#"role: Text("system")"#,
            "content: Parts([])",
            "status: Nothing",
            "previous_item_id: Nothing",
            r#"type: Text("message")"#,
        ];
        assert_eq!(values(&item.expect("an item"), Item::TYPES), expected);
    }

    #[test]
    fn a_part_of_an_unknown_type_is_handed_out_as_it_came() {
        let raw = json!({"type": "hologram"});
        let part = ContentPart::Other { raw: raw.clone() };
        let expected = format!("raw: {:?}", FieldValue::Data(&raw));
        assert_eq!(values(&part, ContentPart::TYPES), [expected]);
    }
}
