//! One HTTP/1.1 request and its answer, on a stream of its own.

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

/// How much of a body is read: refusals and session descriptions are shorter.
const MOST_BODY: usize = 16 * 1024;
/// How long a body may take at most, and never more than half of what is left for
/// connecting; what has come by then must do.
const BODY_TIME: Duration = Duration::from_secs(2);
/// How long the head of an answer may be.
const MOST_HEAD: usize = 64 * 1024;

/// What a server answered.
pub(in crate::transport) enum Answer {
    /// It changed the protocol: the stream is ours, and `rest` came behind the answer.
    Switched {
        response: Response<()>,
        stream: ByteStream,
        rest: Bytes,
    },
    /// It did not.
    Stayed {
        response: Response<()>,
        body: Vec<u8>,
        /// Whether that is all of the body.
        #[cfg_attr(
            not(feature = "webrtc"),
            expect(
                dead_code,
                reason = "a WebSocket's body is a refusal, which may be cut off"
            )
        )]
        complete: bool,
    },
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::transport) enum ExchangeError {
    /// What came is not HTTP.
    NotHttp(String),
    /// The stream ended before the answer.
    Ended(String),
}

/// Sends `request` and reads the answer. `switches` tells from it whether the protocol changes.
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
        .max_buf_size(MOST_HEAD)
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
        .while_doing(beginning(
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

/// The connection, which moves only while it is polled.
struct Wire<'a, C> {
    connection: Pin<&'a mut C>,
    end: Option<End>,
}

impl<C: Future<Output = End>> Wire<'_, C> {
    /// Keeps it moving until `work` is done.
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

    /// Takes the stream back.
    async fn finish(self) -> End {
        match self.end {
            Some(end) => end,
            None => self.connection.await,
        }
    }
}

/// The beginning of a body, as far as it comes, and whether that is all of it.
async fn beginning(body: &mut Incoming, time: Duration) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let frame = match body.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => frame,
            };
            if let Ok(data) = frame.into_data() {
                let room = MOST_BODY - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return false;
                }
            }
        }
    };
    // Whatever came before the time was up is kept.
    let complete = timeout(time, reading).await.unwrap_or(false);
    (read, complete)
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn explain(error: hyper::Error) -> ExchangeError {
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_parse() {
        ExchangeError::NotHttp("its answer is not HTTP".to_owned())
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        ExchangeError::Ended("the server closed it without an answer".to_owned())
    } else {
        ExchangeError::Ended(cause)
    }
}
