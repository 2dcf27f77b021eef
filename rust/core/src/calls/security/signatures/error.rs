//! Why a signature is not accepted.

use std::time::Duration;

use thiserror::Error;

/// Why a request is not accepted as the carrier's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The user's argument cannot be: no request would be accepted.
    #[error("{argument}: {why}")]
    Argument {
        /// Its name.
        argument: &'static str,
        /// What is wrong with it and what it should be.
        why: &'static str,
    },
    /// A header that every request of the carrier has is not there.
    #[error(
        "the request has no {header}: it is not {carrier}'s, or a proxy removed the header, which \
         then has to be let through"
    )]
    Missing {
        /// The carrier.
        carrier: &'static str,
        /// The header.
        header: &'static str,
    },
    /// A header is not of the form that the carrier gives it.
    #[error(
        "{header} is not {expected}: the request is not the carrier's, or the header was changed"
    )]
    Malformed {
        /// The header.
        header: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The signature is of another URL, of other fields, or of another secret.
    #[error(
        "{header} is not the signature of this URL and form with this secret: behind a proxy the \
         public URL must be given, scheme and query included, as {carrier} has it (public_url=); \
         the fields of the form must be decoded and complete; the secret must be that of the \
         account or project that the call belongs to"
    )]
    UrlMismatch {
        /// The carrier.
        carrier: &'static str,
        /// The header.
        header: &'static str,
    },
    /// The signature is of another body or of another key.
    #[error(
        "{header} is not the signature of this body with this key: the body must be the raw bytes \
         as they came, not JSON that was read and written again, and the key that of the account \
         ({argument}=)"
    )]
    BodyMismatch {
        /// The header.
        header: &'static str,
        /// The argument that has the key.
        argument: &'static str,
    },
    /// The token of a webhook is signed with another secret.
    #[error(
        "the token in {header} is not signed with this secret: it must be the signature secret of \
         the account that the call belongs to (signature_secret=)"
    )]
    TokenMismatch {
        /// The header.
        header: &'static str,
    },
    /// The upgrade has another token than the one that the answer to the webhook named.
    #[error(
        "the token in {header} is not the one of this route: give the answer to the webhook \
         (auth_bearer_token=) and the route (auth_token=) the same"
    )]
    BearerMismatch {
        /// The header.
        header: &'static str,
    },
    /// The signature is good, but the body is not the one whose hash was signed.
    #[error(
        "the body is not the one that was signed: its SHA-256 is not the {field}. The body must be \
         the raw bytes as they came, not JSON that was read and written again"
    )]
    BodyChanged {
        /// What holds the hash.
        field: &'static str,
    },
    /// There is a body, and nothing that is signed says which.
    #[error("nothing signs the body: {remedy}")]
    BodyNotSigned {
        /// What to do.
        remedy: &'static str,
    },
    /// What is signed is too old: it may have been recorded and sent again.
    #[error(
        "{field} is {seconds} s old and at most {} s are allowed: the request was sent again by \
         somebody, was long on its way, or the clock of this machine is wrong",
        max_age.as_secs_f64()
    )]
    TooOld {
        /// What holds the time.
        field: &'static str,
        /// Its age, in seconds.
        seconds: u64,
        /// The bound.
        max_age: Duration,
    },
    /// What is signed is of a time to come.
    #[error(
        "{field} is {seconds} s ahead of this machine's clock and at most {} s are allowed: the \
         clock is probably wrong",
        max_age.as_secs_f64()
    )]
    FromTheFuture {
        /// What holds the time.
        field: &'static str,
        /// How far ahead it is, in seconds.
        seconds: u64,
        /// The bound.
        max_age: Duration,
    },
    /// The token of a webhook is over by its own word.
    #[error(
        "the token in {header} expired {seconds} s ago: it may have been sent again by somebody"
    )]
    Expired {
        /// The header.
        header: &'static str,
        /// Since when, in seconds.
        seconds: u64,
    },
    /// The token of a webhook is signed in a way that is not the carrier's.
    #[error(
        "the token in {header} is not signed with {expected}, the only algorithm that is accepted"
    )]
    Algorithm {
        /// The header.
        header: &'static str,
        /// The only algorithm that is accepted.
        expected: &'static str,
    },
    /// The signature is good, but of another account or application.
    #[error("the token in {header} is for another {claim} than the one that was given ({claim}=)")]
    OtherAccount {
        /// The header.
        header: &'static str,
        /// What differs.
        claim: &'static str,
    },
}

impl SignatureError {
    /// A short name of the reason, for logs and counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Argument { .. } => "argument",
            Self::Missing { .. } => "missing",
            Self::Malformed { .. } => "malformed",
            Self::UrlMismatch { .. }
            | Self::BodyMismatch { .. }
            | Self::TokenMismatch { .. }
            | Self::BearerMismatch { .. } => "mismatch",
            Self::BodyChanged { .. } => "body_changed",
            Self::BodyNotSigned { .. } => "body_not_signed",
            Self::TooOld { .. } => "too_old",
            Self::FromTheFuture { .. } => "from_the_future",
            Self::Expired { .. } => "expired",
            Self::Algorithm { .. } => "algorithm",
            Self::OtherAccount { .. } => "other_account",
        }
    }
}
