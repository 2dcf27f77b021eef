//! Connections through a proxy.

use stapes_core::transport::websocket::{ConnectError, Proxy, Tls, WebSocketOptions, connect};
use tokio::net::TcpListener;

use crate::support::certificates::Authority;
use crate::support::endpoint::{Recorder, run};
use crate::support::proxy::TestProxy;
use crate::support::server::header;
use crate::support::{options, refused, request, server};

fn through(proxy: String) -> WebSocketOptions {
    WebSocketOptions {
        proxy: Proxy::Url(proxy),
        ..options()
    }
}

/// One message there and back.
async fn talk(url: &str, options: &WebSocketOptions) {
    let connection = connect(&request(url), options).await.unwrap();
    let (endpoint, seen) = Recorder::new();
    let mut carried = run(connection, endpoint, seen);
    carried.endpoint.send("hello");
    assert_eq!(carried.text().await, "hello");
}

#[tokio::test]
async fn the_proxy_is_asked_for_the_host_by_name() {
    let server = server::websocket(server::echo).await;
    let mut proxy = TestProxy::start(server.address, None).await;
    talk(
        "ws://far.invalid/v1",
        &through(format!("http://{}", proxy.address)),
    )
    .await;
    let head = proxy.requests.recv().await.unwrap();
    assert!(
        head.starts_with("CONNECT far.invalid:80 HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(header(&head, "proxy-authorization"), None);
}

#[tokio::test]
async fn a_secure_connection_is_made_inside_the_tunnel() {
    let authority = Authority::new();
    let server = server::secure_echo(authority.server(&["far.invalid"])).await;
    let mut proxy = TestProxy::start(server.address, None).await;
    let options = WebSocketOptions {
        tls: Tls {
            ca_file: Some(authority.file.clone()),
        },
        ..through(proxy.address.to_string())
    };
    talk("wss://far.invalid/v1", &options).await;
    let head = proxy.requests.recv().await.unwrap();
    assert!(
        head.starts_with("CONNECT far.invalid:443 HTTP/1.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    let authority = Authority::new();
    let server = server::secure_echo(authority.server(&["far.invalid"])).await;
    let proxy = TestProxy::secure(server.address, authority.server(&["127.0.0.1"])).await;
    let options = WebSocketOptions {
        tls: Tls {
            ca_file: Some(authority.file.clone()),
        },
        ..through(format!("https://{}", proxy.address))
    };
    talk("wss://far.invalid/v1", &options).await;
}

#[tokio::test]
async fn the_credentials_of_the_proxys_url_are_sent_to_it() {
    let server = server::websocket(server::echo).await;
    let proxy = TestProxy::start(server.address, Some("Basic YW5uOnBAc3M=")).await;
    talk(
        "ws://far.invalid/",
        &through(format!("http://ann:p%40ss@{}", proxy.address)),
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_named_without_ours() {
    let server = server::websocket(server::echo).await;
    let proxy = TestProxy::start(server.address, Some("Basic YW5uOnBAc3M=")).await;
    let options = through(format!("http://ann:pa55word@{}", proxy.address));
    let error = refused(&request("ws://far.invalid/"), &options).await;
    assert_eq!(
        error,
        ConnectError::ProxyAuthentication {
            proxy: proxy.address.to_string()
        }
    );
    assert!(!format!("{error} {options:?}").contains("pa55word"));
}

#[tokio::test]
async fn a_tunnel_that_is_not_opened_is_the_proxys_fault() {
    for (answer, part) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP 403"),
        ("nonsense\r\n\r\n", "not HTTP"),
        ("", "closed"),
    ] {
        let proxy = server::answer(answer).await;
        let error = refused(
            &request("wss://far.invalid/"),
            &through(proxy.address.to_string()),
        )
        .await;
        assert!(matches!(error, ConnectError::Proxy { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_run_is_named_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = refused(&request("ws://far.invalid/"), &through(address.clone())).await;
    assert!(
        matches!(&error, ConnectError::Proxy { proxy, .. } if *proxy == address),
        "{error:?}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_proxys_certificate_that_does_not_verify_is_the_proxys() {
    let authority = Authority::new();
    let server = server::secure_echo(authority.server(&["far.invalid"])).await;
    let proxy = server::secure_echo(authority.server(&["127.0.0.1"])).await;
    let options = through(format!("https://{}", proxy.address));
    let error = refused(&request(&server.url("wss")), &options).await;
    assert!(
        matches!(error, ConnectError::Certificate { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("(the proxy)"), "{error}");
}
