//! `stapes-load-client`: the bare client, N sessions on one thread, one JSON line of results.

use std::error::Error;
use std::future::poll_fn;
use std::io::{self, Write};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use stapes_load::client::options::Options;
use stapes_load::client::report::{Stretch, begin, summarise};
use stapes_load::client::session::{Received, microphone, receive, start};
use stapes_load::client::socket::{Failure, connect_plain, connect_tls, tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long the greeting may take to come.
const SETTLING: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let mut result = begin(&options);
    let url = options.target();
    if options.is_null {
        let turns = Stretch::start();
        let mut ticker = options.ticker();
        while ticker.next().await.is_some() {}
        turns.end(&mut result);
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

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    options: &Options,
    result: &mut Map<String, Value>,
    connect: impl AsyncFn() -> Result<WebSocketStream<S>, Failure>,
) -> Result<(), Box<dyn Error>> {
    let connecting = Stretch::start();
    let (mut writers, mut readers) = (Vec::new(), Vec::<JoinHandle<_>>::new());
    for _ in 0..options.sessions {
        let socket = connect().await.map_err(|error| error.to_string())?;
        let (writer, reader) = socket.split();
        writers.push(writer);
        readers.push(tokio::spawn(receive(reader, options.responses)));
    }
    tokio::time::sleep(SETTLING).await;
    connecting.connected(options.sessions, result);

    let turns = Stretch::start();
    let mut mic_sent = 0_usize;
    let mut ticker = options.ticker();
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
    turns.end(result);
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
