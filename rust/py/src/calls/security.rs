//! Who may call: the carriers' signatures, and tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use stapes_core::calls::security::signatures::{
    Content, MAX_AGE, plivo, signalwire, telnyx, twilio, vonage,
};
use stapes_core::calls::security::tokens;

use crate::audio::samples::bytes;
use crate::errors::Outcome;
use crate::options::seconds;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("MAX_AGE", MAX_AGE.as_secs_f64())?;
    module.add("TOKEN_LIFETIME", tokens::LIFETIME.as_secs_f64())?;
    module.add_class::<CallTokens>()?;
    module.add_function(wrap_pyfunction!(validate_twilio, module)?)?;
    module.add_function(wrap_pyfunction!(validate_signalwire, module)?)?;
    module.add_function(wrap_pyfunction!(validate_telnyx, module)?)?;
    module.add_function(wrap_pyfunction!(validate_plivo, module)?)?;
    module.add_function(wrap_pyfunction!(validate_vonage, module)?)
}

/// The decoded fields of a form.
type Fields = Vec<(String, String)>;

fn borrowed(fields: &Fields) -> Vec<(&str, &str)> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// Calls `check` with what a request carries.
fn with_content<R>(
    fields: Option<Fields>,
    body: Option<&Bound<'_, PyAny>>,
    check: impl FnOnce(Content<'_>) -> R,
) -> PyResult<R> {
    match (fields, body) {
        (None, None) => Ok(check(Content::Nothing)),
        (Some(fields), None) => Ok(check(Content::Form(&borrowed(&fields)))),
        (None, Some(body)) => Ok(check(Content::Body(&bytes(body, "body")?))),
        (Some(_), Some(_)) => Err(PyTypeError::new_err(
            "params and body: give the fields of a form, or a body of another type, not both",
        )),
    }
}

/// The time since the Unix epoch: the one that is given, or that of the system's clock.
fn time(now: Option<f64>) -> PyResult<Duration> {
    match now {
        Some(now) => seconds(now, "now"),
        None => Ok(SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()),
    }
}

/// Checks that a request is Twilio's.
#[pyfunction]
fn validate_twilio(
    auth_token: &str,
    url: &str,
    signature: Option<&str>,
    fields: Option<Fields>,
    body: Option<&Bound<'_, PyAny>>,
) -> Outcome<()> {
    let check = |content: Content<'_>| twilio::validate(auth_token, url, signature, content);
    Ok(with_content(fields, body, check)??)
}

/// Checks that a request is SignalWire's.
#[pyfunction]
fn validate_signalwire(
    signing_key: &str,
    url: &str,
    signature: Option<&str>,
    fields: Option<Fields>,
    body: Option<&Bound<'_, PyAny>>,
) -> Outcome<()> {
    let check = |content: Content<'_>| signalwire::validate(signing_key, url, signature, content);
    Ok(with_content(fields, body, check)??)
}

/// Checks that a webhook is Telnyx's.
#[pyfunction]
fn validate_telnyx(
    public_key: &str,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &Bound<'_, PyAny>,
    max_age: f64,
    now: Option<f64>,
) -> Outcome<()> {
    let body = &bytes(body, "body")?;
    let webhook = telnyx::Webhook {
        timestamp,
        signature,
        body,
    };
    Ok(telnyx::validate(
        public_key,
        webhook,
        seconds(max_age, "max_age")?,
        time(now)?,
    )?)
}

/// Checks that a request is Plivo's.
#[pyfunction]
fn validate_plivo(
    auth_token: &str,
    method: &str,
    url: &str,
    signature: Option<&str>,
    nonce: Option<&str>,
    fields: Option<Fields>,
) -> Outcome<()> {
    let method = match method.to_ascii_uppercase().as_str() {
        "GET" => plivo::Method::Get,
        "POST" => plivo::Method::Post,
        other => {
            let message = format!("method is {other:?}: Plivo sends GET or POST");
            return Err(PyValueError::new_err(message).into());
        }
    };
    let fields = fields.unwrap_or_default();
    let fields = &borrowed(&fields);
    let request = plivo::Request {
        method,
        url,
        signature,
        nonce,
        fields,
    };
    Ok(plivo::validate(auth_token, request)?)
}

/// Checks that a webhook is Vonage's.
#[pyfunction]
#[expect(
    clippy::too_many_arguments,
    reason = "the only caller is the public function"
)]
fn validate_vonage(
    signature_secret: &str,
    authorization: Option<&str>,
    fields: Option<Fields>,
    body: Option<&Bound<'_, PyAny>>,
    api_key: Option<&str>,
    application_id: Option<&str>,
    max_age: f64,
    now: Option<f64>,
) -> Outcome<()> {
    let account = vonage::Account {
        api_key,
        application_id,
    };
    let (max_age, now) = (seconds(max_age, "max_age")?, time(now)?);
    let check = |content: Content<'_>| {
        vonage::validate(
            signature_secret,
            authorization,
            content,
            account,
            max_age,
            now,
        )
    };
    Ok(with_content(fields, body, check)??)
}

/// One-time tokens: what a carrier brings back proves that its call was answered here.
///
/// A token is made for the path that the carrier is sent to, goes out with the answer to its
/// webhook (`twiml_connect` and its like do that), and comes back with the stream. It is good
/// once, for that path, for `lifetime` seconds. That it is used twice is noticed by the object
/// that accepted it the first time: workers that share a secret do not share that.
///
/// Args:
///     secret: At least 16 bytes or characters, the same for all workers that answer the same
///         calls. By default a random one that no other process has.
///     lifetime: Seconds that a carrier has to connect, 60 by default.
///
/// Raises:
///     ValueError: `secret` is too short, or `lifetime` is not above 0.
#[pyclass(frozen, module = "stapes.calls")]
#[derive(Debug)]
pub struct CallTokens(tokens::CallTokens);

#[pymethods]
impl CallTokens {
    #[new]
    #[pyo3(signature = (secret = None, lifetime = tokens::LIFETIME.as_secs_f64()))]
    fn new(secret: Option<&Bound<'_, PyAny>>, lifetime: f64) -> Outcome<Self> {
        let lifetime = seconds(lifetime, "lifetime")?;
        let secret = secret.map(secret_bytes).transpose()?;
        Ok(Self(tokens::CallTokens::new(secret.as_deref(), lifetime)?))
    }

    /// Seconds that a carrier has to connect.
    #[getter]
    fn lifetime(&self) -> f64 {
        self.0.lifetime().as_secs_f64()
    }

    /// Makes a token of 76 characters that may stand in a URL.
    ///
    /// Args:
    ///     path: The path to which the token will be brought, as the server sees it.
    ///     now: Seconds since the Unix epoch; by default the system's clock.
    ///
    /// Raises:
    ///     ValueError: `now` is negative.
    #[pyo3(signature = (path, *, now = None))]
    fn mint(&self, path: &str, now: Option<f64>) -> Outcome<String> {
        Ok(self.0.mint(path, time(now)?)?)
    }

    /// Accepts a token, this once.
    ///
    /// Args:
    ///     token: What the caller brought; `None` is as good as no token.
    ///     path: The path that the caller asked for, as the server sees it.
    ///     now: Seconds since the Unix epoch; by default the system's clock.
    ///
    /// Raises:
    ///     TokenError: The token is not accepted. Its subclasses say why: `TokenMalformedError`,
    ///         `TokenForgedError`, `TokenExpiredError`, `TokenPathError`, `TokenUsedError`,
    ///         `TooManyTokensError` (65,536 were used within two lifetimes).
    ///     ValueError: `now` is negative.
    #[pyo3(signature = (token, path, *, now = None))]
    fn check(&self, token: Option<&str>, path: &str, now: Option<f64>) -> Outcome<()> {
        Ok(self.0.check(token.unwrap_or_default(), path, time(now)?)?)
    }

    fn __repr__(&self) -> String {
        format!("CallTokens(lifetime={})", self.lifetime())
    }
}

fn secret_bytes(secret: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = secret.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    match secret.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
        Err(_) => Err(PyTypeError::new_err("secret must be str, bytes or None")),
    }
}
