//! Connections that cannot be established.

use std::time::Duration;

use stapes_core::transport::websocket::{
    ConnectError, ConnectPhase, ConnectRequest, Tls, WebSocketOptions, connect,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::certificates::Authority;
use crate::support::{options, refused, request, server};

const KEY: &str = "sk-test-0123456789";

fn with_key(url: &str) -> ConnectRequest {
    let headers = vec![("Authorization".to_owned(), format!("Bearer {KEY}"))];
    ConnectRequest {
        url: url.to_owned(),
        headers,
        ..ConnectRequest::default()
    }
}

fn json_answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// The error after a response with these bytes; it never shows the key.
async fn after(answer: impl Into<Vec<u8>>) -> ConnectError {
    let server = server::answer(answer).await;
    let error = refused(&with_key(&server.url("ws")), &options()).await;
    assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
    error
}

#[tokio::test]
async fn a_401_gives_the_servers_words_and_a_remedy_and_hides_an_echoed_key() {
    let body = format!(r#"{{"error":{{"message":"Bad key {KEY}.","code":"invalid_api_key"}}}}"#);
    let error = after(json_answer("401 Unauthorized", "", &body)).await;
    assert_eq!(
        error.to_string(),
        "the server refused with HTTP 401 (invalid_api_key): Bad key ***; check the API key: it \
         is missing, wrong or expired"
    );
}

#[tokio::test]
async fn other_statuses_have_remedies_of_their_own() {
    for (status, part) in [
        ("400 Bad Request", "parameters"),
        ("403 Forbidden", "may use this model"),
        ("404 Not Found", "name of the model"),
        ("429 Too Many Requests", "tried again in 7 s"),
        ("503 Service Unavailable", "try again later"),
    ] {
        let error = after(json_answer(status, "Retry-After: 7\r\n", "")).await;
        assert!(error.to_string().contains(part), "{error}");
        let number: u16 = status[..3].parse().unwrap();
        assert!(matches!(error, ConnectError::Rejected { status, .. } if status == number));
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_put_together() {
    let answer = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n\
                  a\r\n{\"error\":\"\r\n8\r\nno way\"}\r\n0\r\n\r\n";
    let error = after(answer).await;
    assert!(error.to_string().contains("no way"), "{error}");
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_hide_the_status() {
    let server = server::tcp(async |mut stream| {
        server::read_head(&mut stream).await;
        let beginning = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\nno key";
        stream.write_all(beginning).await.unwrap();
        stream
    })
    .await;
    let options = WebSocketOptions {
        connect_timeout: Duration::from_millis(400),
        ..options()
    };
    let error = refused(&request(&server.url("ws")), &options).await;
    assert!(error.to_string().contains("HTTP 401: no key"), "{error}");
}

#[tokio::test]
async fn a_redirect_names_the_place_without_its_secrets() {
    let place = format!("Location: wss://ann:{KEY}@elsewhere.example/v1?model=m&ticket={KEY}\r\n");
    let error = after(json_answer("307 Temporary Redirect", &place, "")).await;
    let location = "wss://***@elsewhere.example/v1?model=m&ticket=***".to_owned();
    assert_eq!(
        error,
        ConnectError::Redirected {
            status: 307,
            location: Some(location)
        }
    );
}

#[tokio::test]
async fn a_server_that_is_no_websocket_server_is_called_that() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n";
    let page = json_answer("200 OK", "", "<html>");
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\x00\x01\x02\x03\r\n\r\n",
        &page,
        switched,
    ] {
        let error = after(answer).await;
        assert!(
            matches!(error, ConnectError::NotWebSocket { .. }),
            "{answer:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_without_an_answer_is_called_that() {
    let error = after("").await;
    let phase = ConnectPhase::Http;
    assert!(
        matches!(error, ConnectError::Interrupted { phase: p, .. } if p == phase),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_times_out_in_the_phase_it_is_in() {
    let authority = Authority::new();
    let tls = Tls {
        ca_file: Some(authority.file.clone()),
    };
    // Loads the authority's file first, so that this does not count in the timeouts below.
    let answering = server::secure_echo(authority.server(&["127.0.0.1"])).await;
    let patient = WebSocketOptions {
        tls: tls.clone(),
        ..options()
    };
    connect(&request(&answering.url("wss")), &patient)
        .await
        .unwrap();

    // The kernel accepts the connection; nobody reads it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let after = Duration::from_millis(100);
    let options = WebSocketOptions {
        connect_timeout: after,
        tls,
        ..options()
    };
    for (scheme, phase) in [("ws", ConnectPhase::Http), ("wss", ConnectPhase::Tls)] {
        let error = refused(&request(&format!("{scheme}://{address}/")), &options).await;
        assert_eq!(error, ConnectError::TimedOut { phase, after });
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = refused(&request(&format!("ws://{address}/")), &options()).await;
    assert_eq!(error, ConnectError::ConnectionRefused { address });
}

#[tokio::test]
async fn a_host_without_an_address_is_called_that() {
    // A name that never exists (RFC 6761, section 6.4).
    let error = refused(&request("ws://stapes.invalid/"), &options()).await;
    assert!(
        matches!(&error, ConnectError::Dns { host, .. } if host == "stapes.invalid"),
        "{error}"
    );
}

#[tokio::test]
async fn the_request_carries_the_headers_and_the_path() {
    let server = server::answer("HTTP/1.1 503 Busy\r\n\r\n").await;
    refused(&with_key(&server.url("ws")), &options()).await;
    let address = server.address.to_string();
    let head = server.task.await.unwrap();
    assert!(
        head.starts_with("GET /v1/realtime?model=test HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(
        server::header(&head, "authorization"),
        Some(format!("Bearer {KEY}"))
    );
    assert_eq!(server::header(&head, "host"), Some(address));
    assert_eq!(
        server::header(&head, "sec-websocket-version").as_deref(),
        Some("13")
    );
}

#[tokio::test]
async fn a_key_that_is_quoted_without_some_of_its_letters_is_hidden() {
    for quoted in [&KEY[..KEY.len() - 2], &KEY[2..]] {
        let body = format!(r#"{{"error":{{"message":"Bad key {quoted}.."}}}}"#);
        let text = after(json_answer("401 Unauthorized", "", &body))
            .await
            .to_string();
        assert!(text.contains("Bad key ***"), "{text}");
    }
}

#[tokio::test]
async fn a_head_that_is_unusual_is_read_and_one_that_is_too_long_is_named() {
    let many = "X-Trace: 1\r\n".repeat(150);
    let error = after(json_answer("429 Too Many Requests", &many, "")).await;
    assert!(error.to_string().contains("HTTP 429"), "{error}");
    let folded = "X-Trace: one\r\n two\r\n";
    let error = after(json_answer("403 Forbidden", folded, "")).await;
    assert!(error.to_string().contains("HTTP 403"), "{error}");
    for headers in [
        "X-Trace: 1\r\n".repeat(600),
        format!("X: {}\r\n", "x".repeat(1_000_000)),
    ] {
        let error = after(json_answer("403 Forbidden", &headers, "")).await;
        let text = error.to_string();
        assert!(
            text.contains("the head of its answer is longer than 64 KiB"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_location_is_shown_no_longer_than_a_message_should_be() {
    let place = format!(
        "Location: wss://elsewhere.example/{}\r\n",
        "x".repeat(10_000)
    );
    let error = after(json_answer("307 Temporary Redirect", &place, "")).await;
    assert!(error.to_string().len() < 700, "{error}");
}

#[tokio::test]
async fn a_server_that_upgrades_with_an_older_http_is_no_websocket_server() {
    let answer = "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let error = after(answer).await;
    assert!(error.to_string().contains("HTTP/1.0"), "{error}");
}
