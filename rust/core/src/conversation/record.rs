//! Events as records of named fields, so that a binding to another language can hand them out
//! without a line for each kind.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::history::History;
use super::item::Item;

/// The name and fields of one kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordType {
    pub name: &'static str,
    /// Names and types, in the order in which [`Event::visit`](super::Event::visit) gives values.
    pub fields: &'static [(&'static str, &'static str)],
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub enum FieldValue<'a> {
    Nothing,
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(u64),
    Flag(bool),
    Seconds(f64),
    /// It is handed out as JSON text.
    Json(&'a Value),
    Item(&'a Item),
    History(&'a History),
}

/// A type that a field of an event may have.
pub trait Field {
    /// The type's name: `str`, `int`, `bool`, `float`, `bytes`, `json`, `item` or `history`, and `| None`.
    const TYPE: &'static str;

    fn value(&self) -> FieldValue<'_>;
}

/// Says how values of these types, and of options of them, are handed out.
macro_rules! fields {
    ($($type:ty, $name:literal, |$value:ident| $made:expr;)*) => {
        $(
            impl Field for $type {
                const TYPE: &'static str = $name;

                fn value(&self) -> FieldValue<'_> {
                    let $value = self;
                    $made
                }
            }

            impl Field for Option<$type> {
                const TYPE: &'static str = concat!($name, " | None");

                fn value(&self) -> FieldValue<'_> {
                    self.as_ref().map_or(FieldValue::Nothing, Field::value)
                }
            }
        )*
    };
}

fields! {
    Arc<str>, "str", |value| FieldValue::Text(value);
    String, "str", |value| FieldValue::Text(value);
    &'static str, "str", |value| FieldValue::Text(value);
    Vec<u8>, "bytes", |value| FieldValue::Bytes(value);
    u64, "int", |value| FieldValue::Number(*value);
    usize, "int", |value| FieldValue::Number(*value as u64);
    bool, "bool", |value| FieldValue::Flag(*value);
    Duration, "float", |value| FieldValue::Seconds(value.as_secs_f64());
    Value, "json", |value| FieldValue::Json(value);
    Arc<Item>, "item", |value| FieldValue::Item(value);
    History, "history", |value| FieldValue::History(value);
}

/// Declares [`Event`](super::Event) and what is known of each kind. A kind either has its fields in
/// the variant, or a payload of its own, and each field says how it is read.
macro_rules! event_table {
    (
        $(#[$enum_doc:meta])*
        pub enum $enum:ident {
            $(
                $(#[$doc:meta])*
                $name:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)? }
            )*
        }
        payloads {
            $(
                $(#[$payload_doc:meta])*
                $boxed:ident($payload:ty) as $it:ident { $( $part:ident: $part_type:ty = $value:expr ),* $(,)? }
            )*
        }
    ) => {
        $(#[$enum_doc])*
        pub enum $enum {
            $( $(#[$doc])* $name { $( $(#[$field_doc])* $field: $type ),* }, )*
            $( $(#[$payload_doc])* $boxed($payload), )*
        }

        impl $enum {
            /// All kinds, in the order of [`Self::index`].
            pub const TYPES: &'static [RecordType] = &[
                $( RecordType {
                    name: stringify!($name),
                    fields: &[ $( (stringify!($field), <$type as Field>::TYPE) ),* ],
                }, )*
                $( RecordType {
                    name: stringify!($boxed),
                    fields: &[ $( (stringify!($part), <$part_type as Field>::TYPE) ),* ],
                }, )*
            ];

            /// Where its kind stands in [`Self::TYPES`].
            pub fn index(&self) -> usize {
                #[allow(clippy::enum_variant_names)]
                enum Index { $( $name, )* $( $boxed, )* }
                match self {
                    $( Self::$name { .. } => Index::$name as usize, )*
                    $( Self::$boxed(_) => Index::$boxed as usize, )*
                }
            }

            /// Gives the values of its fields, in their order.
            pub fn visit<E>(
                &self,
                mut visit: impl FnMut(FieldValue<'_>) -> Result<(), E>,
            ) -> Result<(), E> {
                match self {
                    $( Self::$name { $( $field ),* } => { $( visit(Field::value($field))?; )* } )*
                    $( Self::$boxed($it) => {
                        $( visit(<$part_type as Field>::value(&$value))?; )*
                    } )*
                }
                Ok(())
            }
        }
    };
}

pub(super) use {event_table, fields};
