//! Errors of the core as the exceptions of `stapes.errors`.

use std::error::Error;
use std::fmt::Display;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use stapes_core::audio::format::FormatError;
use stapes_core::calls::UnsentMessage;
use stapes_core::calls::security::signatures::SignatureError;
use stapes_core::calls::security::tokens::{MintError, TokenError};
use stapes_core::conversation::Rejected;
use stapes_core::delivery::loop_driver::DriverError;
use stapes_core::delivery::process::Forked;
use stapes_core::delivery::workers::StartError;
use stapes_core::session::SendAudioError;
use stapes_core::transport::net::{ConnectClass, ConnectError};

/// An exception. Errors of the core become one by `?`.
#[derive(Debug)]
pub struct Failure(PyErr);

pub type Outcome<T> = Result<T, Failure>;

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

/// Says which exception stands for each error.
macro_rules! failures {
    ($($error:ty: |$name:ident| $made:expr;)*) => {
        $(
            impl From<$error> for Failure {
                fn from($name: $error) -> Self {
                    Self($made)
                }
            }
        )*
    };
}

failures! {
    Rejected: |error| rejected(&error);
    SendAudioError: |error| send_audio_error(&error);
    ConnectError: |error| connect_error(&error);
    DriverError: |error| match error {
        DriverError::Selector(error) => error.into(),
        error => runtime_error(&error),
    };
    FormatError: |error| PyValueError::new_err(error.to_string());
    Forked: |error| runtime_error(&error);
    StartError: |error| runtime_error(&error);
    SignatureError: |error| match error {
        SignatureError::Argument { .. } => PyValueError::new_err(error.to_string()),
        error => raise("SignatureError", (error.to_string(), error.reason())),
    };
    MintError: |error| match error {
        MintError::NoRandomness => runtime_error(&error),
        error => PyValueError::new_err(error.to_string()),
    };
    UnsentMessage: |error| raise("CallError", (error.to_string(),));
    TokenError: |error| raise(token_error_class(error), (error.to_string(),));
}

fn token_error_class(error: TokenError) -> &'static str {
    match error {
        TokenError::Malformed => "TokenMalformedError",
        TokenError::Forged => "TokenForgedError",
        TokenError::Expired { .. } => "TokenExpiredError",
        TokenError::OtherPath => "TokenPathError",
        TokenError::Used => "TokenUsedError",
        TokenError::TooMany => "TooManyTokensError",
        _ => "TokenError",
    }
}

/// An error that has no class of its own in Python.
fn runtime_error(error: &dyn Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// The exception of that class of `stapes.errors`.
fn raise(class: &str, arguments: impl for<'py> PyCallArgs<'py>) -> PyErr {
    Python::attach(|py| {
        let module = py.import("stapes.errors");
        let error = module.and_then(|module| module.call_method(class, arguments, None));
        error.map_or_else(|error| error, PyErr::from_value)
    })
}

/// Why a command was rejected. For the acts of the session layer, what is stale is no error but a result.
fn rejected(rejected: &Rejected) -> PyErr {
    let message = rejected.to_string();
    match rejected {
        Rejected::NotConnected => raise("NotConnectedError", (message,)),
        Rejected::CallOver => raise("CallError", (message,)),
        Rejected::AlreadyConnected => PyRuntimeError::new_err(message),
        Rejected::Invalid(_) => PyValueError::new_err(message),
        _ => raise("StapesError", (message,)),
    }
}

/// Why audio was not sent.
fn send_audio_error(error: &SendAudioError) -> PyErr {
    match error {
        SendAudioError::Rejected(why) => rejected(why),
        SendAudioError::Rate(_) => PyValueError::new_err(error.to_string()),
        _ => raise("StapesError", (error.to_string(),)),
    }
}

fn connect_error(error: &ConnectError) -> PyErr {
    let raised = connect_exception(error);
    let wait = error.retry_after().map(|wait| wait.as_secs_f64());
    let set = Python::attach(|py| {
        let value = raised.value(py);
        value.setattr("retryable", error.is_retryable())?;
        value.setattr("retry_after", wait)?;
        value.setattr("code", error.code())
    });
    set.err().unwrap_or(raised)
}

fn connect_exception(error: &ConnectError) -> PyErr {
    let message = error.to_string();
    match (error.class(), error.status()) {
        (ConnectClass::InvalidOption, _) => PyValueError::new_err(message),
        (class, Some(status)) => raise(class.as_str(), (message, status)),
        (class, None) => raise(class.as_str(), (message,)),
    }
}

/// The exception of an error that a message carries.
pub fn exception(error: &(dyn Error + 'static)) -> PyErr {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(error), _) => connect_error(error),
        (_, Some(error)) => send_audio_error(error),
        _ => runtime_error(&error),
    }
}
