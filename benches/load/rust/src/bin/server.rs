//! `stapes-load-server [--port N] [--authority FILE]`: prints its URL and serves until it is killed.
//! With `--authority` it speaks TLS, and writes there whom to trust.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use stapes_load::certificate::tls_settings;
use stapes_load::connection::serve;
use stapes_load::counts::Counts;
use stapes_load::frame::{control, text};
use stapes_load::handshake::{DecodeMode, accept};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

#[derive(Default)]
struct Args {
    port: u16,
    authority: Option<PathBuf>,
}

fn args() -> Result<Args, lexopt::Error> {
    use lexopt::prelude::{Long, ValueExt};
    let mut args = Args::default();
    let mut given = lexopt::Parser::from_env();
    while let Some(arg) = given.next()? {
        match arg {
            Long("port") => args.port = given.value()?.parse()?,
            Long("authority") => args.authority = Some(given.value()?.into()),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(args)
}

/// One thread: the server's work is to stay on one core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    let tls = match &args.authority {
        None => None,
        Some(file) => Some(TlsAcceptor::from(Arc::new(tls_settings(file)?))),
    };
    let listener = listen(args.port)?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    writeln!(io::stdout(), "{scheme}://{}", listener.local_addr()?)?;
    io::stdout().flush()?;

    let counts = Arc::new(Counts::default());
    let watched = counts.clone();
    tokio::spawn(async move { watched.watch_core().await });
    loop {
        let (socket, _) = listener.accept().await?;
        let (tls, counts) = (tls.clone(), counts.clone());
        counts.accepted();
        // A connection that fails is the client's to tell of: it sees what is missing.
        tokio::spawn(async move { run(socket, tls, counts).await.ok() });
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(BACKLOG)
}

async fn run(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    counts: Arc<Counts>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    socket.set_nodelay(true)?;
    match tls {
        None => speak(socket, counts).await,
        Some(tls) => match tls.accept(socket).await {
            Ok(stream) => speak(stream, counts).await,
            Err(error) => {
                counts.answered();
                Err(error.into())
            }
        },
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    counts: Arc<Counts>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let accepted = accept(stream).await;
    counts.answered();
    let (mut stream, wanted) = accepted?;
    match wanted {
        DecodeMode::Stats => {
            let told = counts.tell().to_string();
            stream.write_all(&text(told.as_bytes())).await?;
            stream
                .write_all(&control(8, &1000_u16.to_be_bytes()))
                .await?;
            stream.shutdown().await?;
        }
        DecodeMode::Session(options) => {
            counts.opened();
            let served = serve(stream, options, counts.clone()).await;
            counts.closed();
            served?;
        }
    }
    Ok(())
}
