//! The bare client against the server, as processes, plain and over TLS.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(authority: Option<&PathBuf>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stapes-load-server"));
        if let Some(file) = authority {
            command.arg("--authority").arg(file);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("a server");
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().expect("its output"))
            .read_line(&mut url)
            .expect("its URL");
        let url = url.trim().to_owned();
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(server: &Server, authority: Option<&PathBuf>, flags: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stapes-load-client"));
    command.args(["--url", &server.url, "--n", "5"]).args(flags);
    if let Some(file) = authority {
        command.env("SSL_CERT_FILE", file);
    }
    let done = command.output().expect("a client");
    let problem = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{problem}");
    serde_json::from_slice(&done.stdout).expect("a line of results")
}

#[test]
fn nothing_is_lost() {
    let server = Server::start(None);
    let result = run(&server, None, &["--chunks", "3"]);
    assert_eq!(result["audio_bytes"], 5 * 3 * 4800);
    assert_eq!(result["mic_sent"], 5 * 3);
    assert_eq!(result["errors"], 0);
    assert!(result["lat_p99_us"].as_f64().expect("a number") > 0.0);
}

#[test]
fn many_responses_come_at_full_speed_over_tls() {
    let name = format!("stapes-load-{}.pem", std::process::id());
    let authority = std::env::temp_dir().join(name);
    let server = Server::start(Some(&authority));
    assert!(server.url.starts_with("wss://"));
    let flags = ["--mode", "blast", "--chunks", "50", "--responses", "3"];
    let result = run(&server, Some(&authority), &flags);
    assert_eq!(result["audio_bytes"], 5 * 3 * 50 * 4800);
    let _ = std::fs::remove_file(&authority);
}
