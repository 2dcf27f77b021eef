//! `stapes-load-client`: the bare client, N sessions on one thread, one JSON line of results.

use std::error::Error;
use std::future::poll_fn;
use std::io::{self, Write};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use stapes_load::client::options::Options;
use stapes_load::client::report::{resident_kb, summarise};
use stapes_load::client::session::{Received, microphone, receive, start};
use stapes_load::client::socket::{Failure, connect_plain, connect_tls, tls};
use stapes_load::client::ticker::Ticker;
use stapes_load::clock::{cpu_ns, monotonic_ns};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long the greeting may take to come.
const SETTLING: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let mut result = Map::new();
    for (key, value) in [
        ("n", json!(options.sessions)),
        ("mode", json!(options.mode)),
        ("chunks", json!(options.chunks)),
        ("responses", json!(options.responses)),
        ("spread", json!(options.spread)),
        ("rss_idle_kb", json!(resident_kb())),
    ] {
        result.insert(key.to_owned(), value);
    }
    let url = options.target();
    if options.is_null {
        let clock = Clock::start();
        let mut ticker = ticker(&options);
        while ticker.next().await.is_some() {}
        clock.stop(&mut result);
    } else if url.starts_with("wss:") {
        let authority = options.authority.as_deref();
        let tls =
            tls(authority.ok_or("SSL_CERT_FILE is not set")?).map_err(|error| error.to_string())?;
        run(&options, &mut result, async || {
            connect_tls(&url, tls.clone()).await
        })
        .await?;
    } else {
        run(&options, &mut result, async || connect_plain(&url).await).await?;
    }
    writeln!(io::stdout(), "{}", Value::Object(result))?;
    Ok(())
}

/// What is used from now on.
struct Clock {
    cpu: u64,
    wall: u64,
}

impl Clock {
    fn start() -> Self {
        Self {
            cpu: cpu_ns(),
            wall: monotonic_ns(),
        }
    }

    fn stop(&self, result: &mut Map<String, Value>) {
        for (key, from, to) in [
            ("cpu_s", self.cpu, cpu_ns()),
            ("wall_s", self.wall, monotonic_ns()),
        ] {
            result.insert(key.to_owned(), json!((to - from) as f64 / 1e9));
        }
        result.insert("rss_end_kb".to_owned(), json!(resident_kb()));
    }
}

fn ticker(options: &Options) -> Ticker {
    if options.is_paced() {
        let spread = Duration::from_secs_f64(options.spread);
        Ticker::new(options.sessions, spread, options.chunks)
    } else {
        Ticker::new(options.sessions, Duration::ZERO, 0)
    }
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    options: &Options,
    result: &mut Map<String, Value>,
    connect: impl AsyncFn() -> Result<WebSocketStream<S>, Failure>,
) -> Result<(), Box<dyn Error>> {
    let cpu = cpu_ns();
    let (mut writers, mut readers) = (Vec::new(), Vec::<JoinHandle<_>>::new());
    for _ in 0..options.sessions {
        let socket = connect().await.map_err(|error| error.to_string())?;
        let (writer, reader) = socket.split();
        writers.push(writer);
        readers.push(tokio::spawn(receive(reader, options.responses)));
    }
    tokio::time::sleep(SETTLING).await;
    let connect_ms = (cpu_ns() - cpu) as f64 / 1e6 / options.sessions as f64;
    result.insert("connect_cpu_ms".to_owned(), json!(connect_ms));
    result.insert("rss_connected_kb".to_owned(), json!(resident_kb()));

    let clock = Clock::start();
    let mut mic_sent = 0_usize;
    let mut ticker = ticker(options);
    while let Some(due) = ticker.next().await {
        for session in &due.start {
            say(&mut writers[*session], start()).await;
        }
        for session in &due.send {
            mic_sent += usize::from(say(&mut writers[*session], microphone()).await);
        }
    }
    let mut received = Vec::new();
    let mut kept = Vec::new();
    for reader in readers {
        let (reader, one): (_, Received) = reader.await?;
        kept.push(reader);
        received.push(one);
    }
    clock.stop(result);
    summarise(&received, result);
    result.insert("mic_sent".to_owned(), json!(mic_sent));
    Ok(())
}

/// Sends without waiting; false where the socket does not take more.
async fn say<S: Sink<Message> + Unpin>(socket: &mut S, message: Message) -> bool {
    let mut message = Some(message);
    poll_fn(|cx| {
        let is_ready = matches!(socket.poll_ready_unpin(cx), Poll::Ready(Ok(())));
        let sent = match message.take() {
            Some(message) if is_ready => socket.start_send_unpin(message).is_ok(),
            _ => false,
        };
        // What the socket does not take now goes with the next message.
        let _ = socket.poll_flush_unpin(cx);
        Poll::Ready(sent)
    })
    .await
}
