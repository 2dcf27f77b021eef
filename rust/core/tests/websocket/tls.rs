//! Which servers are trusted.

use stapes_core::transport::CloseReason;
use stapes_core::transport::websocket::{
    CertificateProblem, ConnectError, Tls, WebSocketOptions, connect,
};

use crate::support::certificates::Authority;
use crate::support::endpoint::{Recorder, run};
use crate::support::{options, refused, request, server};

fn trusting(authority: &Authority) -> WebSocketOptions {
    WebSocketOptions {
        tls: Tls {
            ca_file: Some(authority.file.clone()),
        },
        ..options()
    }
}

/// Why the certificate of a server is not accepted.
async fn problem(url: &str, options: &WebSocketOptions) -> CertificateProblem {
    match refused(&request(url), options).await {
        ConnectError::Certificate { host, problem } => {
            assert_eq!(host, "127.0.0.1");
            problem
        }
        other => panic!("the certificate should be the problem, not {other:?}"),
    }
}

#[tokio::test]
async fn a_server_is_accepted_with_its_authoritys_file_and_not_without() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server::secure_echo(authority.server(&["127.0.0.1"])).await;
    let url = server.url("wss");
    assert_eq!(
        problem(&url, &trusting(&other)).await,
        CertificateProblem::UnknownIssuer
    );

    let connection = connect(&request(&url), &trusting(&authority))
        .await
        .unwrap();
    let (endpoint, seen) = Recorder::new();
    let mut carried = run(connection, endpoint, seen);
    let long = "sound ".repeat(200_000);
    carried.endpoint.send(long.clone());
    assert!(carried.text().await == long);
    carried.endpoint.close(1000, "");
    assert_eq!(carried.ended().await, CloseReason::ClosedByUs);
}

#[tokio::test]
async fn an_unknown_issuer_comes_with_the_remedy() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server::secure_echo(authority.server(&["127.0.0.1"])).await;
    let text = refused(&request(&server.url("wss")), &trusting(&other))
        .await
        .to_string();
    assert!(
        text.contains("SSL_CERT_FILE") && text.contains("ca_file"),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_with_the_names_it_is_for() {
    let authority = Authority::new();
    let server = server::secure_echo(authority.server(&["example.org"])).await;
    let problem = problem(&server.url("wss"), &trusting(&authority)).await;
    assert_eq!(
        problem,
        CertificateProblem::WrongName {
            presented: vec!["example.org".to_owned()]
        }
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let server = server::secure_echo(authority.expired_server(&["127.0.0.1"])).await;
    let problem = problem(&server.url("wss"), &trusting(&authority)).await;
    assert_eq!(problem, CertificateProblem::Expired);
}

#[tokio::test]
async fn a_renewed_authority_file_is_read_again() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = server::secure_echo(new.server(&["127.0.0.1"])).await;
    let options = trusting(&old);
    assert_eq!(
        problem(&server.url("wss"), &options).await,
        CertificateProblem::UnknownIssuer
    );
    let written = std::fs::metadata(&old.file).unwrap().modified().unwrap();
    std::fs::copy(&new.file, &old.file).unwrap();
    let later = written + std::time::Duration::from_secs(1);
    std::fs::File::open(&old.file)
        .unwrap()
        .set_modified(later)
        .unwrap();
    connect(&request(&server.url("wss")), &options)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_without_tls_is_called_that() {
    let authority = Authority::new();
    let server = server::tcp(async |mut stream| {
        use tokio::io::AsyncWriteExt;
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    })
    .await;
    let error = refused(&request(&server.url("wss")), &trusting(&authority)).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("ws://"), "{error}");
}

#[tokio::test]
async fn a_file_without_a_certificate_is_named() {
    let file = std::env::temp_dir().join(format!("stapes-test-{}-empty.pem", std::process::id()));
    std::fs::write(&file, "not a certificate").unwrap();
    let options = WebSocketOptions {
        tls: Tls {
            ca_file: Some(file.clone()),
        },
        ..options()
    };
    let server = server::tcp(async |stream| stream).await;
    let error = refused(&request(&server.url("wss")), &options).await;
    std::fs::remove_file(&file).unwrap();
    assert!(
        matches!(error, ConnectError::TrustStore { .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(&file.display().to_string()),
        "{error}"
    );
}
