//! The HTTP exchange of a call: our offer and the server's answer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;

use crate::transport::net::{
    Answer, ByteStream, ConnectError, ConnectPhase, Deadline, ExchangeError, Schemes, Secrets,
    ServerClock, Target, exchange, refused,
};

pub(super) const SCHEMES: Schemes = Schemes {
    plain: "http",
    secure: "https",
};

/// The headers of the offer, which users must not set.
pub(super) const OWN_HEADERS: [&str; 5] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// The server's answer.
pub(super) struct Answered {
    pub description: String,
    /// The last path segment of the response's `Location`.
    pub call_id: Option<String>,
    pub server_clock: Option<ServerClock>,
}

/// Sends the offer over `stream` and reads the answer.
pub(super) async fn offer(
    stream: ByteStream,
    description: String,
    secrets: &Secrets,
    target: &Target,
    headers: HeaderMap,
    deadline: Deadline,
) -> Result<Answered, ConnectError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(HOST, &target.authority)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/sdp"))
        .body(Full::new(Bytes::from(description)))
        .map_err(|error| ConnectError::InvalidUrl {
            problem: error.to_string(),
        })?;
    request.headers_mut().extend(headers);
    let asking = async {
        exchange(stream, request, |_| false, deadline)
            .await
            .map_err(|error| match error {
                ExchangeError::NotHttp(problem) => ConnectError::NotWebRtc { problem },
                ExchangeError::Ended(cause) => ConnectError::Interrupted {
                    phase: ConnectPhase::Http,
                    cause,
                },
            })
    };
    match deadline.bound(ConnectPhase::Http, asking).await? {
        Answer::Stayed {
            response,
            body,
            complete,
        } if response.status().is_success() => read(&response, body, complete),
        Answer::Stayed { response, body, .. } => Err(refused(&response, &body, secrets)),
        Answer::Switched { .. } => Err(ConnectError::NotWebRtc {
            problem: "it switches to another protocol".to_owned(),
        }),
    }
}

fn read(response: &Response<()>, body: Vec<u8>, complete: bool) -> Result<Answered, ConnectError> {
    let not = |problem: &str| ConnectError::NotWebRtc {
        problem: problem.to_owned(),
    };
    if !complete {
        return Err(not(
            "its answer is too long for a session description, or broke off",
        ));
    }
    let description =
        String::from_utf8(body).map_err(|_| not("its answer is no session description (SDP)"))?;
    if !description.starts_with("v=0") {
        return Err(not("its answer is no session description (SDP)"));
    }
    let call_id = response
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(last_segment);
    Ok(Answered {
        description,
        call_id,
        server_clock: ServerClock::arriving(response.headers()),
    })
}

fn last_segment(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next()?;
    let segment = path.trim_end_matches('/').rsplit('/').next()?;
    (!segment.is_empty()).then(|| segment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_named_by_the_end_of_its_location() {
        for (location, id) in [
            ("/v1/realtime/calls/rtc_u0_abc", Some("rtc_u0_abc")),
            (
                "https://api.openai.com/v1/realtime/calls/rtc_1/?x=y",
                Some("rtc_1"),
            ),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(last_segment(location).as_deref(), id, "{location}");
        }
    }

    #[test]
    fn an_answer_must_be_a_whole_description() {
        let response = Response::new(());
        assert!(read(&response, b"v=0\r\n".to_vec(), true).is_ok());
        for (body, complete) in [
            (&b"v=0\r\n"[..], false),
            (b"<html>", true),
            (b"v=0\xff", true),
        ] {
            let refused = read(&response, body.to_vec(), complete);
            assert!(matches!(refused, Err(ConnectError::NotWebRtc { .. })));
        }
    }
}
