//! Whether the upgrade to a WebSocket comes from the carrier, where the carrier can show it.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

use super::signatures::{Content, SignatureError, plivo, signalwire, twilio};

/// The carriers whose upgrades can be checked.
pub const CARRIERS: [&str; 3] = ["plivo", "signalwire", "twilio"];

/// How a carrier's upgrades are told from those of strangers, before anything is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Twilio signs the public URL.
    Twilio,
    /// Plivo signs the public URL and a nonce.
    Plivo,
    /// `SignalWire` sends the token that its answer to the webhook named.
    Bearer,
}

/// The check of a route's upgrades.
#[derive(Clone)]
pub struct UpgradeCheck {
    way: Way,
    secret: String,
    public_url: String,
}

impl fmt::Debug for UpgradeCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeCheck")
            .field("way", &self.way)
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl UpgradeCheck {
    /// The check for a carrier's upgrades; `None` where its upgrades show nothing. `public_url` is how
    /// the carrier has this server, without a path: `wss://voice.example.com`.
    pub fn of_carrier(carrier: &str, secret: String, public_url: String) -> Option<Self> {
        let way = match carrier {
            "twilio" => Way::Twilio,
            "plivo" => Way::Plivo,
            "signalwire" => Way::Bearer,
            _ => return None,
        };
        Some(Self {
            way,
            secret,
            public_url,
        })
    }

    /// Checks an upgrade.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), SignatureError> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", self.public_url.trim_end_matches('/'));
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match self.way {
            Way::Twilio => {
                let signature = header(twilio::HEADER);
                twilio::validate(&self.secret, &url, signature, Content::Nothing)
            }
            Way::Plivo => plivo::validate(
                &self.secret,
                plivo::Request {
                    method: plivo::Method::Get,
                    url: &url,
                    signature: header(plivo::SIGNATURE_HEADER),
                    nonce: header(plivo::NONCE_HEADER),
                    fields: &[],
                },
            ),
            Way::Bearer => {
                signalwire::validate_bearer(&self.secret, header(AUTHORIZATION.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(carrier: &str) -> Result<(), SignatureError> {
        let url = "wss://voice.example.com".to_owned();
        let check = UpgradeCheck::of_carrier(carrier, "12345".to_owned(), url);
        let uri = "/stream?a=b".parse().expect("a path");
        check.expect("a check").check(&uri, &HeaderMap::new())
    }

    #[test]
    fn what_is_not_signed_is_refused_by_name() {
        for carrier in CARRIERS {
            let refused = check(carrier).expect_err("a refusal");
            assert_eq!(refused.reason(), "missing");
        }
        assert!(UpgradeCheck::of_carrier("telnyx", String::new(), String::new()).is_none());
    }
}
