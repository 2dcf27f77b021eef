//! One HTTP/1.1 request and its response, on a stream of its own.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Parts};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::deadline::Deadline;
use super::stream::ByteStream;

/// The longest body that is read, in bytes: error bodies and session descriptions are shorter.
const MAX_BODY: usize = 16 * 1024;
/// The time limit for reading a body, and never more than half of the remaining time for connecting. A
/// body that is incomplete by then is used as it is.
const BODY_TIME: Duration = Duration::from_secs(2);
/// The longest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers of a response.
const MAX_HEADERS: usize = 512;

/// A server's response.
pub(in crate::transport) enum Answer {
    /// It switched protocols: the stream is free, and `rest` has the bytes that followed the response.
    Switched {
        response: Response<()>,
        stream: ByteStream,
        rest: Bytes,
    },
    /// It did not switch protocols.
    Stayed {
        response: Response<()>,
        body: Vec<u8>,
        /// Whether `body` is the whole body.
        #[cfg_attr(
            not(feature = "webrtc"),
            expect(
                dead_code,
                reason = "a WebSocket only reads the body of an error, which may be incomplete"
            )
        )]
        complete: bool,
    },
}

/// Why there is no response.
#[derive(Debug)]
pub(in crate::transport) enum ExchangeError {
    /// The server's bytes are not HTTP.
    NotHttp(String),
    /// The stream ended before the response.
    Ended(String),
}

/// Sends `request` and reads the response. `switches` decides whether the response switches protocols.
pub(in crate::transport) async fn exchange<B>(
    stream: ByteStream,
    request: Request<B>,
    switches: impl FnOnce(&Response<()>) -> bool,
    deadline: Deadline,
) -> Result<Answer, ExchangeError>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(explain)?;
    let mut wire = Wire {
        connection: pin!(connection.without_shutdown()),
        end: None,
    };
    let response = wire
        .while_doing(sender.send_request(request))
        .await
        .map_err(explain)?;
    let (head, mut body) = response.into_parts();
    let response = Response::from_parts(head, ());
    if switches(&response) {
        let Parts { io, read_buf, .. } = wire.finish().await.map_err(explain)?;
        return Ok(Answer::Switched {
            response,
            stream: io.into_inner(),
            rest: read_buf,
        });
    }
    let (body, complete) = wire
        .while_doing(read_body(
            &mut body,
            BODY_TIME.min(deadline.remaining() / 2),
        ))
        .await;
    Ok(Answer::Stayed {
        response,
        body,
        complete,
    })
}

type End = Result<Parts<TokioIo<ByteStream>>, hyper::Error>;

/// The HTTP connection, which makes progress only while it is polled.
struct Wire<'a, C> {
    connection: Pin<&'a mut C>,
    end: Option<End>,
}

impl<C: Future<Output = End>> Wire<'_, C> {
    /// Polls the connection until `work` is done.
    async fn while_doing<W: Future>(&mut self, work: W) -> W::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if self.end.is_none()
                && let Poll::Ready(end) = self.connection.as_mut().poll(cx)
            {
                self.end = Some(end);
            }
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Returns the stream.
    async fn finish(self) -> End {
        match self.end {
            Some(end) => end,
            None => self.connection.await,
        }
    }
}

/// Reads a body up to its limits; returns its bytes and whether they are all of it.
async fn read_body(body: &mut Incoming, time: Duration) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let frame = match body.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => frame,
            };
            if let Ok(data) = frame.into_data() {
                let room = MAX_BODY - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return false;
                }
            }
        }
    };
    // The bytes that arrived before a timeout are kept.
    let complete = timeout(time, reading).await.unwrap_or(false);
    (read, complete)
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn explain(error: hyper::Error) -> ExchangeError {
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    // hyper's own question for this comes with its servers alone.
    if error.is_parse() && error.to_string().contains("too large") {
        let most = MAX_HEAD / 1024;
        ExchangeError::NotHttp(format!(
            "the head of its answer is longer than {most} KiB, or has more than {MAX_HEADERS} headers"
        ))
    } else if error.is_parse() {
        ExchangeError::NotHttp("its answer is not HTTP".to_owned())
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        ExchangeError::Ended("the server closed it without an answer".to_owned())
    } else {
        ExchangeError::Ended(cause)
    }
}
