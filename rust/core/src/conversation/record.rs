//! Events as records of named fields, so that a binding to another language can hand them out
//! without a line for each kind.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::history::History;
use super::item::{ContentPart, Item};

/// What is handed out as a record, of one of several types.
pub trait Record {
    /// All types, in the order of [`Self::index`].
    const TYPES: &'static [RecordType];

    /// Where its type stands in [`Self::TYPES`].
    fn index(&self) -> usize;

    /// Gives the values of its fields, in their order.
    fn visit<E>(&self, visit: impl FnMut(FieldValue<'_>) -> Result<(), E>) -> Result<(), E>;
}

/// The name and fields of one kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordType {
    pub name: &'static str,
    /// Names and types, in the order in which [`Record::visit`] gives values.
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
    /// It is handed out as the value that it says.
    Data(&'a Value),
    /// Not stated, which is not the same as nothing.
    Unset,
    Item(&'a Item),
    Parts(&'a [ContentPart]),
    History(&'a History),
    Error(&'a (dyn Error + 'static)),
}

/// A type that a field of an event may have.
pub trait Field {
    /// The type's name: `str`, `int`, `bool`, `float`, `bytes`, `json`, `data`, `item`, `parts`, `history` or
    /// `exception`, and `| unset`, `| None`.
    const TYPE: &'static str;

    fn value(&self) -> FieldValue<'_>;
}

/// Says how values of these types, and of options of them, are handed out.
macro_rules! fields {
    ($($type:ty, $name:literal, |$value:ident| $made:expr;)*) => {
        $(
            impl $crate::conversation::record::Field for $type {
                const TYPE: &'static str = $name;

                fn value(&self) -> FieldValue<'_> {
                    let $value = self;
                    $made
                }
            }

            impl $crate::conversation::record::Field for Option<$type> {
                const TYPE: &'static str = concat!($name, " | None");

                fn value(&self) -> FieldValue<'_> {
                    self.as_ref().map_or(FieldValue::Nothing, |value| value.value())
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
    f64, "float", |value| FieldValue::Seconds(*value);
    Value, "json", |value| FieldValue::Json(value);
    Arc<Item>, "item", |value| FieldValue::Item(value);
    History, "history", |value| FieldValue::History(value);
}

/// Implements [`Record`]: the types of a record, what matches each, and where the values of its fields are.
macro_rules! records {
    ($record:ty { $( $name:ident: $pattern:pat => { $( $field:ident: $type:ty = $value:expr ),* $(,)? } )* }) => {
        impl Record for $record {
            const TYPES: &'static [RecordType] = &[
                $( RecordType {
                    name: stringify!($name),
                    fields: &[ $( (stringify!($field), <$type as Field>::TYPE) ),* ],
                }, )*
            ];

            fn index(&self) -> usize {
                #[allow(clippy::enum_variant_names)]
                enum Index { $( $name, )* }
                #[allow(unused_variables)]
                match self {
                    $( $pattern => Index::$name as usize, )*
                }
            }

            fn visit<E>(
                &self,
                mut visit: impl FnMut(FieldValue<'_>) -> Result<(), E>,
            ) -> Result<(), E> {
                match self {
                    $( $pattern => { $( visit(<$type as Field>::value(&$value))?; )* } )*
                }
                Ok(())
            }
        }
    };
}

/// Declares an enum whose variants are the types of a record. A variant either has its fields in
/// itself, or a payload of its own, and each field says how it is read.
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

        $crate::conversation::record::records! {
            $enum {
                $( $name: $enum::$name { $( $field ),* } => { $( $field: $type = $field ),* } )*
                $( $boxed: $enum::$boxed($it) => { $( $part: $part_type = $value ),* } )*
            }
        }
    };
}

pub(crate) use {event_table, fields, records};
