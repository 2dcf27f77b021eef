//! Reads JSON that `serde_json` refuses although most other parsers read it.
//!
//! Only text that was refused comes here. It is written anew, with something in the place of each
//! token that the parser cannot hold: U+FFFD for half a surrogate pair, the greatest number for one
//! that is greater, null for what is no number and for what is nested too deeply.

use serde_json::Value;

/// How deeply the parser takes arrays and objects within each other.
const MAX_DEPTH: usize = 127;

/// The greatest number that is held, as JSON.
const GREATEST: &str = "1.7976931348623157e308";
/// The least number that is held, as JSON.
const LEAST: &str = "-1.7976931348623157e308";

/// Parses JSON. Where only the lenient reading succeeds, the text that it made comes with it.
pub(super) fn parse(text: &str) -> serde_json::Result<(Value, Option<String>)> {
    serde_json::from_str(text)
        .map(|value| (value, None))
        .or_else(|refusal| {
            let mended = mend(text);
            match serde_json::from_str(&mended) {
                Ok(value) => Ok((value, Some(mended))),
                Err(_) => Err(refusal),
            }
        })
}

/// Writes the text anew; what is no JSON in any reading stays so.
fn mend(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(&first) = rest.as_bytes().first() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' | b'N' | b'I' => word_length(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        match first {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match first {
            b'{' | b'[' if depth == MAX_DEPTH + 1 => mended.push_str("null"),
            b'}' | b']' if depth == MAX_DEPTH => {}
            _ if depth > MAX_DEPTH => {}
            b'"' => push_string(token, &mut mended),
            b'-' | b'0'..=b'9' | b'N' | b'I' => mended.push_str(held_number(token)),
            _ => mended.push_str(token),
        }
    }
    mended
}

/// The length of the string literal that `text` begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// The length of the number, or of the name of one, that `text` begins with.
fn word_length(text: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    text.bytes()
        .position(|byte| !is_part(byte))
        .unwrap_or(text.len())
}

/// The number, or what is held in its place. `NaN` and `Infinity` are no JSON, but servers write them.
fn held_number(token: &str) -> &str {
    match token {
        "NaN" => return "null",
        "Infinity" => return GREATEST,
        "-Infinity" => return LEAST,
        _ => {}
    }
    match token.parse::<f64>() {
        Ok(number) if number.is_infinite() && number > 0.0 => GREATEST,
        Ok(number) if number.is_infinite() => LEAST,
        _ => token,
    }
}

/// Copies a string literal, with U+FFFD for each escape of half a surrogate pair.
fn push_string(literal: &str, mended: &mut String) {
    let mut rest = literal;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match unit(rest) {
            Some(0xD800..=0xDBFF) if matches!(unit(&rest[6..]), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                mended.push('\u{FFFD}');
                rest = &rest[6..];
                continue;
            }
            Some(_) => 6,
            // An escape of one character, which may be of any length.
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    mended.push_str(rest);
}

/// The UTF-16 unit of the escape (`\u` and four digits) that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        let (value, mended) = parse(text).unwrap();
        assert!(mended.is_some(), "{text} needs no mending");
        value
    }

    #[test]
    fn half_a_surrogate_pair_is_the_replacement_character() {
        for (text, expected) in [
            (r#"["hi \ud83d"]"#, json!(["hi \u{FFFD}"])),
            (r#"["\ude00 \ud83d\ude00"]"#, json!(["\u{FFFD} 😀"])),
            (r#"["\ud83d\ud83d\ude00x"]"#, json!(["\u{FFFD}😀x"])),
            (r#"["\ud83d\n\\ud83d\""]"#, json!(["\u{FFFD}\n\\ud83d\""])),
            (r#"{"\uDFFF":1}"#, json!({"\u{FFFD}": 1})),
            (r#"["\ud83d\u0041é"]"#, json!(["\u{FFFD}Aé"])),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_beyond_what_is_held_is_the_greatest_one() {
        let long = "9".repeat(5_000);
        for number in ["1e400", &long, "Infinity", "1e99999999999999999999"] {
            assert_eq!(read(&format!("[{number},1]")), json!([f64::MAX, 1]));
            assert_eq!(read(&format!("[-{number},1]")), json!([f64::MIN, 1]));
        }
        assert_eq!(read("[NaN,\"NaN\"]"), json!([null, "NaN"]));
    }

    #[test]
    fn what_is_nested_too_deeply_is_null_and_the_rest_is_read() {
        for depth in [128, 1_000, 200_000] {
            for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                let text = format!(r#"{{"deep":{open}"]}}"{close},"after":1}}"#);
                let value = read(&text);
                assert_eq!(value["after"], 1);
                assert_eq!(value.as_object().unwrap().len(), 2);
            }
        }
    }

    #[test]
    fn what_is_no_json_is_refused_all_the_same() {
        for text in [
            "{not json",
            "[\"\\ud83d",
            "[1e400",
            "[01]",
            "[1.]",
            "[+1]",
            "[\"\\x\"]",
            "[\"\n\"]",
            "[\"\\u12\"]",
            "[\"\\",
            "[--1]",
            "",
            "]",
            "[Nothing]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_json_is_mended_to_itself(text in r#"[\[\]{}",:0-9eE+\-\\ud8cn é]{0,60}"#) {
            let _ = parse(&text);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&mend(&text)).unwrap(), value);
            }
        }
    }
}
