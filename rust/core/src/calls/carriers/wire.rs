//! What several carriers' wires have in common: JSON that is read leniently, sound in base64, names of
//! formats, names of marks.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::audio::{AudioFormat, base64};
use crate::calls::carrier::{Ignored, LegMessage, Media};
use crate::transport::Frame;

/// What our marks are called; a number follows.
pub(super) const MARK: &str = "stapes-";

/// The most characters of what a carrier says that are repeated in a message of ours.
const MAX_BRIEF: usize = 200;

/// The largest number that JSON carries exactly: counters beyond it are none.
const MAX_NUMBER: u64 = 1 << 53;

/// The sample rates of linear PCM: those between which the resampler converts.
const RATES: [u32; 11] = [
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000,
];

/// A text or a number of the wire; all else is nothing. Texts are borrowed where they hold no escapes,
/// which `Option<Cow<str>>` would not do.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Nothing,
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number as f64))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Nothing)
            }
            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A text, or a number in its place. The empty text is none.
#[derive(Debug, Clone, Default)]
pub(super) struct TextOrNumber<'a> {
    text: Option<Cow<'a, str>>,
    is_number: bool,
}

impl<'a> TextOrNumber<'a> {
    pub fn of(text: &'a str) -> Self {
        Self {
            text: (!text.is_empty()).then_some(Cow::Borrowed(text)),
            is_number: false,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        self.text.as_deref()
    }

    pub fn is(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }

    pub fn owned(&self) -> Option<String> {
        self.as_str().map(str::to_owned)
    }

    /// The key of a telephone.
    pub fn digit(&self) -> Option<char> {
        self.as_str()?.trim().chars().next()
    }

    /// The number of a mark; `None`: it is somebody else's.
    pub fn mark(&self) -> Option<u64> {
        self.as_str()?.strip_prefix(MARK)?.parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextOrNumber<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalar = Scalar::deserialize(deserializer)?;
        let is_number = matches!(scalar, Scalar::Number(_));
        let text = match scalar {
            Scalar::Text(text) if !text.is_empty() => Some(text),
            Scalar::Number(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Text(_) | Scalar::Nothing => None,
        };
        Ok(Self { text, is_number })
    }
}

/// A number that is no fraction and not negative, or a text that is one; anything else is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Loose(pub Option<u64>);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => return Ok(Self::read(&text)),
            Scalar::Number(number) => Some(number),
            Scalar::Nothing => None,
        };
        Ok(Self::of(number))
    }
}

impl Loose {
    /// Digits: what else a number may be written as is none of a carrier's counters.
    fn read(text: &str) -> Self {
        let number: Option<u64> = text.trim().parse().ok();
        Self(number.filter(|number| *number <= MAX_NUMBER))
    }

    pub fn of(number: Option<f64>) -> Self {
        let number = number.filter(|number| (0.0..=MAX_NUMBER as f64).contains(number));
        Self(number.map(|number| number as u64))
    }
}

/// An object; anything else is an empty one.
#[derive(Debug, Clone, Default)]
pub(super) struct Object(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Object(map) => map,
            _ => Map::new(),
        }))
    }
}

/// A field that is there, though its value may be `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(field).map(Some)
}

/// The JSON of a text frame.
pub(super) fn read<'a, T: Deserialize<'a>>(frame: Frame<'a>) -> Result<T, Ignored> {
    match frame {
        Frame::Text(text) => serde_json::from_str(text).map_err(|_| Ignored::NotOfTheProtocol),
        Frame::Binary(_) => Err(Ignored::NotOfTheProtocol),
    }
}

/// The beginning of what a carrier says, for a message of ours.
pub(super) fn brief(text: &str) -> String {
    text.chars().take(MAX_BRIEF).collect()
}

pub(super) fn unknown<'a>(kind: &str) -> LegMessage<'a> {
    LegMessage::Ignored(Ignored::UnknownKind(brief(kind)))
}

/// Tells of sound that comes in a binary message, in the format of the stream that has started.
pub(super) fn binary_sound(
    format: Option<AudioFormat>,
    sound: &[u8],
    take: &mut dyn FnMut(LegMessage<'_>),
) {
    take(match format {
        None => LegMessage::Ignored(Ignored::BeforeStart),
        Some(format) if !sound.len().is_multiple_of(format.bytes_per_sample()) => {
            LegMessage::Ignored(Ignored::BadSound)
        }
        Some(_) if sound.is_empty() => return,
        Some(_) => LegMessage::Media(Media {
            sound,
            number: None,
            at_ms: None,
        }),
    });
}

/// `text` as JSON, with its quotes.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The first of the parameters `names` that is a text.
pub(super) fn parameter(parameters: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let texts = names
        .iter()
        .filter_map(|name| parameters.get(*name)?.as_str());
    texts
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .next()
}

/// The format with one of the names that carriers use, such as `audio/x-mulaw`, `PCMU`, `slin16` or
/// `audio/l16;rate=16000`. A rate in the name counts only where `rate` is none. The error says what the
/// stream has.
pub(super) fn format(name: &str, rate: Option<u64>) -> Result<AudioFormat, String> {
    let lower = name.to_ascii_lowercase();
    let (kind, rest) = lower.split_at(lower.find([';', '@']).unwrap_or(lower.len()));
    let of_name: String = rest
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let kind = kind.trim();
    let kind = kind.strip_prefix("audio/").unwrap_or(kind);
    let kind = kind.strip_prefix("x-").unwrap_or(kind);
    let of_kind = match kind {
        "slin12" => Some(12_000),
        "slin16" => Some(16_000),
        "slin24" => Some(24_000),
        "slin32" => Some(32_000),
        "slin44" => Some(44_100),
        "slin48" => Some(48_000),
        "slin96" => Some(96_000),
        "slin192" => Some(192_000),
        _ => None,
    };
    let rate = rate
        .or(of_kind)
        .or_else(|| of_name.parse().ok())
        .unwrap_or(8_000);
    let linear = RATES
        .into_iter()
        .find(|known| u64::from(*known) == rate)
        .map(|rate| AudioFormat::Pcm { rate });
    let found = match kind {
        "mulaw" | "ulaw" | "pcmu" | "basic" => Some(AudioFormat::Mulaw).filter(|_| rate == 8_000),
        "alaw" | "pcma" => Some(AudioFormat::Alaw).filter(|_| rate == 8_000),
        "l16" | "pcm" | "linear16" | "raw" => linear,
        _ if kind.starts_with("slin") && (kind == "slin" || of_kind.is_some()) => linear,
        _ => None,
    };
    found.ok_or_else(|| format!("the stream's sound is {} at {rate} Hz", brief(name)))
}

/// Sound in base64, both ways. It keeps the buffer of what comes.
#[derive(Debug, Default)]
pub(super) struct Base64Sound {
    bytes: Vec<u8>,
    /// 16-bit samples are big endian on the wire.
    pub is_big_endian: bool,
}

impl Base64Sound {
    fn swap(&self, format: AudioFormat, bytes: &mut [u8]) {
        if self.is_big_endian && matches!(format, AudioFormat::Pcm { .. }) {
            let (pairs, _): (&mut [[u8; 2]], _) = bytes.as_chunks_mut();
            for pair in pairs {
                pair.reverse();
            }
        }
    }

    /// Tells of a packet, unless it is empty.
    pub fn media(
        &mut self,
        payload: &TextOrNumber<'_>,
        format: AudioFormat,
        (number, at_ms): (Loose, Loose),
        take: &mut dyn FnMut(LegMessage<'_>),
    ) {
        let Some(text) = payload.as_str() else {
            return take(LegMessage::Ignored(Ignored::Lacks("media.payload")));
        };
        self.bytes.clear();
        // The digits of a number would be base64, too.
        let is_sound =
            !payload.is_number && base64::decode_append(text.as_bytes(), &mut self.bytes).is_ok();
        if !is_sound || !self.bytes.len().is_multiple_of(format.bytes_per_sample()) {
            return take(LegMessage::Ignored(Ignored::BadSound));
        }
        if self.bytes.is_empty() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        self.swap(format, &mut bytes);
        take(LegMessage::Media(Media {
            sound: &bytes,
            number: number.0,
            at_ms: at_ms.0,
        }));
        self.bytes = bytes;
    }

    /// `before`, the sound, and `after`.
    pub fn text(
        &mut self,
        before: &[&str],
        sound: &[u8],
        format: AudioFormat,
        after: &str,
    ) -> String {
        let length: usize = before.iter().map(|part| part.len()).sum();
        let mut text =
            String::with_capacity(length + base64::encoded_len(sound.len()) + after.len());
        for part in before {
            text.push_str(part);
        }
        if self.is_big_endian && matches!(format, AudioFormat::Pcm { .. }) {
            let mut swapped = sound.to_vec();
            self.swap(format, &mut swapped);
            base64::encode_append_text(&swapped, &mut text);
        } else {
            base64::encode_append_text(sound, &mut text);
        }
        text.push_str(after);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loose(json: &str) -> Option<u64> {
        serde_json::from_str::<Loose>(json).unwrap().0
    }

    #[test]
    fn a_number_is_read_from_a_number_or_a_text_and_from_nothing_else() {
        assert_eq!(loose("12"), Some(12));
        assert_eq!(loose("\" 12 \""), Some(12));
        assert_eq!(loose("12.7"), Some(12));
        for none in [
            "-1",
            "\"\"",
            "\"x\"",
            "null",
            "true",
            "[1,[2]]",
            "{\"a\":1}",
            "1e300",
            "\"NaN\"",
        ] {
            assert_eq!(loose(none), None, "{none}");
        }
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let plain: TextOrNumber<'_> = serde_json::from_str("\"abc\"").unwrap();
        assert!(matches!(plain.text, Some(Cow::Borrowed("abc"))));
        let word: TextOrNumber<'_> = serde_json::from_str("\"a\\nb\"").unwrap();
        assert!(word.is("a\nb"));
        assert_eq!(
            serde_json::from_str::<TextOrNumber<'_>>("5")
                .unwrap()
                .digit(),
            Some('5')
        );
        assert!(
            serde_json::from_str::<TextOrNumber<'_>>("\"\"")
                .unwrap()
                .as_str()
                .is_none()
        );
    }

    #[test]
    fn formats_are_known_by_the_names_that_carriers_use() {
        let linear = |rate| Ok(AudioFormat::Pcm { rate });
        for (name, rate, expected) in [
            ("audio/x-mulaw", Some(8_000), Ok(AudioFormat::Mulaw)),
            ("PCMU", None, Ok(AudioFormat::Mulaw)),
            ("PCMU@8000h", None, Ok(AudioFormat::Mulaw)),
            ("ulaw", None, Ok(AudioFormat::Mulaw)),
            ("PCMA", Some(8_000), Ok(AudioFormat::Alaw)),
            ("L16@24000h", None, linear(24_000)),
            ("L16", Some(16_000), linear(16_000)),
            ("audio/l16;rate=16000", None, linear(16_000)),
            ("audio/x-l16; rate=8000", None, linear(8_000)),
            ("slin", None, linear(8_000)),
            ("slin16", None, linear(16_000)),
            ("slin44", None, linear(44_100)),
        ] {
            assert_eq!(format(name, rate), expected, "{name}");
        }
        for (name, rate) in [
            ("opus", None),
            ("G722", Some(8_000)),
            ("PCMU", Some(16_000)),
            ("L16", Some(15_999)),
            ("L16", Some(u64::MAX)),
            ("slin17", None),
            ("", None),
        ] {
            assert!(format(name, rate).is_err(), "{name}");
        }
    }

    #[test]
    fn big_endian_samples_are_turned_both_ways_and_g711_is_left_alone() {
        let mut sound = Base64Sound {
            is_big_endian: true,
            ..Base64Sound::default()
        };
        let linear = AudioFormat::Pcm { rate: 16_000 };
        let text = sound.text(&[], &[1, 2, 3, 4], linear, "");
        assert_eq!(text, "AgEEAw==");
        let mut heard = Vec::new();
        sound.media(
            &TextOrNumber::of(&text),
            linear,
            Default::default(),
            &mut |message| {
                if let LegMessage::Media(media) = message {
                    heard = media.sound.to_vec();
                }
            },
        );
        assert_eq!(heard, [1, 2, 3, 4]);
        assert_eq!(sound.text(&[], &[1, 2], AudioFormat::Mulaw, ""), "AQI=");
    }

    #[test]
    fn half_a_sample_and_what_is_no_base64_are_bad_sound() {
        let mut sound = Base64Sound::default();
        let linear = AudioFormat::Pcm { rate: 16_000 };
        for payload in ["AQ==", "A Q", "\u{e9}\u{e9}"] {
            let mut why = None;
            sound.media(
                &TextOrNumber::of(payload),
                linear,
                Default::default(),
                &mut |message| {
                    if let LegMessage::Ignored(ignored) = message {
                        why = Some(ignored);
                    }
                },
            );
            assert_eq!(why, Some(Ignored::BadSound), "{payload}");
        }
    }
}
