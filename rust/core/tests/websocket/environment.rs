//! Settings from the environment, each tested in a process of its own.

use std::process::Command;

use stapes_core::transport::websocket::{WebSocketOptions, connect};

use crate::support::certificates::Authority;
use crate::support::proxy::TestProxy;
use crate::support::{request, server};

/// Tells the child where to connect.
const URL: &str = "STAPES_TEST_URL";

#[tokio::test]
#[ignore = "the other tests of this module run it with an environment of its own"]
async fn child() {
    let url = std::env::var(URL).unwrap();
    if let Err(error) = connect(&request(&url), &WebSocketOptions::default()).await {
        panic!("{error}");
    }
}

/// Connects in a process with only these variables set; returns its output if that fails.
async fn connect_in_child(url: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "environment::child", "--ignored", "--nocapture"]);
    command
        .env_clear()
        .env(URL, url)
        .envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("running 1 test"), "{printed}");
    if output.status.success() {
        Ok(())
    } else {
        Err(printed.into_owned())
    }
}

#[tokio::test]
async fn ssl_cert_file_names_the_authorities_to_trust() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server::secure_echo(authority.server(&["127.0.0.1"])).await;
    let url = server.url("wss");
    let file = |authority: &Authority| authority.file.display().to_string();
    let refusal = connect_in_child(&url, &[("SSL_CERT_FILE", &file(&other))])
        .await
        .unwrap_err();
    assert!(refusal.contains("is not accepted"), "{refusal}");
    connect_in_child(&url, &[("SSL_CERT_FILE", &file(&authority))])
        .await
        .unwrap();
}

#[tokio::test]
async fn the_proxy_and_its_exceptions_come_from_the_environment() {
    let server = server::websocket(server::echo).await;
    let mut proxy = TestProxy::start(server.address, None).await;
    let address = proxy.address.to_string();
    let url = "ws://far.invalid/";
    connect_in_child(url, &[("HTTP_PROXY", &address)])
        .await
        .unwrap();
    assert!(
        proxy
            .requests
            .recv()
            .await
            .unwrap()
            .starts_with("CONNECT far.invalid:80 ")
    );
    let refusal =
        connect_in_child(url, &[("HTTP_PROXY", &address), ("NO_PROXY", ".invalid")]).await;
    let refusal = refusal.unwrap_err();
    assert!(
        refusal.contains("no address found for the host `far.invalid`"),
        "{refusal}"
    );
    assert!(proxy.requests.is_empty());
}
