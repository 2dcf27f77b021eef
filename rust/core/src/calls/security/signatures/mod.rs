//! The signatures by which carriers prove that a request is theirs.
//!
//! Each carrier is one module with one `validate`. Digests are compared in constant time. A secret
//! is in no error.

mod error;
mod hmac;
pub mod plivo;
pub mod signalwire;
pub mod telnyx;
pub mod twilio;
mod url;
pub mod vonage;

use std::time::Duration;

pub use error::SignatureError;

/// How far from now a signed time may be, either way, unless the user chooses another bound.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// What a request carries beside its URL.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Nothing: the upgrade to a WebSocket, or a `GET`.
    Nothing,
    /// The decoded fields of a form, in the order in which they came.
    Form(&'a [(&'a str, &'a str)]),
    /// A body of another type, such as JSON, as it came.
    Body(&'a [u8]),
}

impl<'a> Content<'a> {
    /// The bytes of the body, where it is no form; an empty body is as good as none.
    fn body(self) -> Option<&'a [u8]> {
        match self {
            Self::Nothing => Some(&[]),
            Self::Form(_) => None,
            Self::Body(body) => Some(body),
        }
    }
}

/// A user's secret, which may not be empty: everybody has the empty one.
fn secret<'a>(value: &'a str, argument: &'static str) -> Result<&'a [u8], SignatureError> {
    if value.is_empty() {
        let why = "it is empty; it is what the carrier's console shows";
        return Err(SignatureError::Argument { argument, why });
    }
    Ok(value.as_bytes())
}

/// Checks that a signed time is within `max_age` of now.
fn check_age(
    signed: u64,
    max_age: Duration,
    now: Duration,
    field: &'static str,
) -> Result<(), SignatureError> {
    let signed = Duration::from_secs(signed);
    let (age, ahead) = (now.saturating_sub(signed), signed.saturating_sub(now));
    if age > max_age {
        let seconds = age.as_secs();
        return Err(SignatureError::TooOld {
            field,
            seconds,
            max_age,
        });
    }
    if ahead > max_age {
        let seconds = ahead.as_secs();
        return Err(SignatureError::FromTheFuture {
            field,
            seconds,
            max_age,
        });
    }
    Ok(())
}
