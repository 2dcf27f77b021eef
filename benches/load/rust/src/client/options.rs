//! What the bare client is asked to do; the same flags as the other clients'.

use std::path::PathBuf;
use std::time::Duration;

use super::ticker::Ticker;

#[derive(Debug, Clone)]
pub struct Options {
    pub url: String,
    pub sessions: usize,
    pub mode: String,
    pub chunks: usize,
    pub responses: usize,
    /// Seconds over which sessions start their turns.
    pub spread: f64,
    /// Only the ticking, no sockets.
    pub is_null: bool,
    /// Nobody wants the audio.
    pub is_quiet: bool,
    /// The authorities to trust, as PEM.
    pub authority: Option<PathBuf>,
}

impl Options {
    pub fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::{Long, ValueExt};
        let mut options = Self {
            url: "ws://127.0.0.1:9100".to_owned(),
            sessions: 1,
            mode: "paced".to_owned(),
            chunks: 100,
            responses: 1,
            spread: 0.1,
            is_null: false,
            is_quiet: false,
            authority: std::env::var_os("SSL_CERT_FILE").map(PathBuf::from),
        };
        let mut given = lexopt::Parser::from_env();
        while let Some(arg) = given.next()? {
            match arg {
                Long("url") => options.url = given.value()?.parse()?,
                Long("n") => options.sessions = given.value()?.parse()?,
                Long("mode") => options.mode = given.value()?.parse()?,
                Long("chunks") => options.chunks = given.value()?.parse()?,
                Long("responses") => options.responses = given.value()?.parse()?,
                Long("spread") => options.spread = given.value()?.parse()?,
                Long("null") => options.is_null = true,
                Long("quiet") => options.is_quiet = true,
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(options)
    }

    /// What starts the sessions and drives their microphones, from now on.
    pub fn ticker(&self) -> Ticker {
        if self.mode == "paced" {
            let spread = Duration::from_secs_f64(self.spread);
            Ticker::new(self.sessions, spread, self.chunks)
        } else {
            Ticker::new(self.sessions, Duration::ZERO, 0)
        }
    }

    /// Where a session connects to.
    pub fn target(&self) -> String {
        let Self {
            url,
            mode,
            chunks,
            responses,
            ..
        } = self;
        format!(
            "{url}/v1/realtime?model=gpt-realtime-2.1&mode={mode}&chunks={chunks}&responses={responses}"
        )
    }
}
