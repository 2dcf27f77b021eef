//! Calls that cannot be established: each error names the cause and the remedy.

use std::time::{Duration, Instant};

use stapes_core::transport::webrtc::{ConnectError, ConnectPhase, WebRtcOptions, connect};

use crate::support::answerer::{Answerer, Manner};
use crate::support::{RATES, options, request};

async fn refused(manner: Manner, options: &WebRtcOptions) -> ConnectError {
    let answerer = Answerer::with(manner).await;
    match connect(&request(&answerer.url), options, RATES).await {
        Ok(_) => panic!("no call was expected"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn an_http_error_is_passed_on_with_its_words_and_without_the_key() {
    let answer = concat!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 68\r\n\r\n",
        r#"{"error":{"message":"Bad key sk-1234567.","code":"invalid_api_key"}}"#
    );
    let error = refused(Manner::Bytes(answer), &options()).await;
    let text = error.to_string();
    assert!(
        matches!(error, ConnectError::Rejected { status: 401, .. }),
        "{text}"
    );
    assert!(
        text.contains("invalid_api_key") && text.contains("check the API key"),
        "{text}"
    );
    assert!(!text.contains("sk-1234567"), "{text}");
}

#[tokio::test]
async fn what_is_no_description_is_refused() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        "HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\nv=0\r\ngarbage",
        "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\nv=0\r\n",
        "not http",
    ] {
        let short = WebRtcOptions {
            connect_timeout: Duration::from_secs(3),
            ..options()
        };
        let error = refused(Manner::Bytes(answer), &short).await;
        assert!(
            matches!(error, ConnectError::NotWebRtc { .. }),
            "{answer}: {error:?}"
        );
    }
}

#[tokio::test]
async fn garbled_descriptions_are_refused_by_name() {
    let garbles: [fn(String) -> String; 4] = [
        |description| description.replace("a=ice-ufrag", "a=ice-other"),
        |description| description.replace("a=fingerprint", "a=finger"),
        |description| description.replace("m=audio", "m=nothing"),
        |description| description[..description.len() / 3].to_owned(),
    ];
    for (n, garble) in garbles.into_iter().enumerate() {
        let short = WebRtcOptions {
            connect_timeout: Duration::from_secs(3),
            ..options()
        };
        let error = refused(Manner::Description(garble), &short).await;
        assert!(
            matches!(
                error,
                ConnectError::NotWebRtc { .. } | ConnectError::TimedOut { .. }
            ),
            "{n}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_takes_no_sound_is_refused_by_name() {
    let garbles: [fn(String) -> String; 3] = [
        |description| description.replace("m=audio 9", "m=audio 0"),
        |description| description.replacen("a=sendrecv", "a=inactive", 1),
        |description| description.replacen("a=sendrecv", "a=sendonly", 1),
    ];
    for (garble, why) in garbles
        .into_iter()
        .zip(["port is 0", "inactive", "sendonly"])
    {
        let error = refused(Manner::Description(garble), &options()).await;
        let text = error.to_string();
        assert!(matches!(error, ConnectError::NotWebRtc { .. }), "{error:?}");
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_with_another_fingerprint_is_refused() {
    let another = |description: String| {
        let marker = "a=fingerprint:sha-256 ";
        let at = description.find(marker).unwrap() + marker.len();
        let other = if description[at..].starts_with("00") {
            "11"
        } else {
            "00"
        };
        let was = description[at..at + 95].to_owned();
        description.replace(&was, &format!("{other}{}", &was[2..]))
    };
    let began = Instant::now();
    let error = refused(Manner::Description(another), &options()).await;
    let text = error.to_string();
    assert!(
        text.contains("fingerprint") || text.contains("DTLS"),
        "{text}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_time_limit_names_what_was_waited_for() {
    let short = WebRtcOptions {
        connect_timeout: Duration::from_millis(300),
        ..options()
    };
    let error = refused(Manner::Silence, &short).await;
    assert!(
        matches!(
            error,
            ConnectError::TimedOut {
                phase: ConnectPhase::Http,
                ..
            }
        ),
        "{error:?}"
    );
    // An address that no host has.
    let nowhere = |description: String| {
        description
            .lines()
            .map(|line| {
                let mut fields: Vec<_> = line.split(' ').collect();
                if line.starts_with("a=candidate") {
                    fields[5] = "9";
                }
                fields.join(" ") + "\r\n"
            })
            .collect()
    };
    let error = refused(Manner::Gone(nowhere), &short).await;
    assert!(
        matches!(
            error,
            ConnectError::TimedOut {
                phase: ConnectPhase::Ice,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn options_that_cannot_be_are_refused_before_anybody_is_called() {
    let mut wrong = options();
    wrong.encoder.complexity = Some(11);
    let error = connect(&request("http://127.0.0.1:9/"), &wrong, RATES).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("complexity"), "{text}");
    let mut wrong = options();
    wrong.local_addresses = vec!["0.0.0.0".parse().unwrap()];
    let answerer = Answerer::start().await;
    let error = connect(&request(&answerer.url), &wrong, RATES).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("local_addresses"), "{text}");
}
