//! What a connection asks for, in the query of its URL.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Audio and transcript deltas, ten of each a second.
    Paced,
    /// The same, as fast as the socket takes them.
    Blast,
    /// Transcript deltas only, as fast as the socket takes them.
    Transcript,
    /// `conversation.item.retrieved` of the response's item, as fast as the socket takes them.
    Items,
    /// Function calls, one a response; then a response without one.
    Tools,
}

#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub mode: Mode,
    /// Deltas, updates or calls in each response.
    pub chunks: usize,
    /// Responses for each `response.create`.
    pub responses: usize,
    /// Items that are there before `session.updated`.
    pub history: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Paced,
            chunks: 100,
            responses: 1,
            history: 0,
        }
    }
}

impl Options {
    /// Keys that are not known are another server's.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let count = || {
                let wrong = |_| format!("{key}={value}: use a number");
                value.parse::<usize>().map_err(wrong)
            };
            match key {
                "mode" => options.mode = mode(value)?,
                "chunks" => options.chunks = count()?,
                "responses" => options.responses = count()?,
                "history" => options.history = count()?,
                _ => {}
            }
        }
        Ok(options)
    }
}

fn mode(value: &str) -> Result<Mode, String> {
    Ok(match value {
        "paced" => Mode::Paced,
        "blast" => Mode::Blast,
        "transcript" => Mode::Transcript,
        "items" => Mode::Items,
        "tools" => Mode::Tools,
        _ => {
            return Err(format!(
                "mode={value}: use paced, blast, transcript, items or tools"
            ));
        }
    })
}
