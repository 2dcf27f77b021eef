//! Transcription and translation: sessions without an agent.
//!
//! Of a transcription, each item of the user's speech has its words as they come, and one end: its
//! transcript, its failure, or the loss of its connection. What of its sound had no transcript then is
//! told to the next connection, under another item.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::client_event::ClientEvent;
use super::commands::Rejected;
use super::event::{ConnectionEnd, Event, Status};
use super::item::ItemId;
use super::purpose::Purpose;
use super::{Conversation, CoreError};

/// How many items may be without a transcript. Past it, the oldest is given up.
const MAX_OPEN: usize = 256;

/// The words of an item, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcribed {
    pub item_id: ItemId,
    pub content_index: usize,
    pub text: String,
    /// The connection was lost before the end: these are the words that had come.
    pub interrupted: bool,
    pub logprobs: Option<Value>,
    /// The languages that were heard.
    pub languages: Option<Value>,
    pub usage: Option<Value>,
}

/// An item whose transcript has not come.
#[derive(Debug)]
struct Open {
    item_id: ItemId,
    /// Its words so far.
    text: String,
}

#[derive(Debug, Default)]
pub(super) struct Transcripts {
    open: VecDeque<Open>,
    /// Commits of this side's that the server has not confirmed.
    commits: u32,
    /// The session ends when all has been transcribed, or translated.
    finishing: bool,
}

impl Transcripts {
    /// The item of that id, which may be new.
    fn begin(&mut self, item_id: &str) -> &mut Open {
        let known = self.open.iter().position(|it| *it.item_id == *item_id);
        let at = known.unwrap_or_else(|| {
            self.open.push_back(Open {
                item_id: item_id.into(),
                text: String::new(),
            });
            self.open.len() - 1
        });
        &mut self.open[at]
    }

    /// Adds words of an item.
    pub fn add(&mut self, item_id: &str, delta: &str) {
        self.begin(item_id).text.push_str(delta);
    }

    /// Takes the words of an item that are told whole each time.
    pub fn replace(&mut self, item_id: &str, text: String) {
        self.begin(item_id).text = text;
    }

    pub fn end(&mut self, item_id: &str) {
        self.open.retain(|it| *it.item_id != *item_id);
    }

    pub fn commit_sent(&mut self) {
        self.commits += 1;
    }

    /// The server has confirmed a commit, or refused it.
    pub fn commit_answered(&mut self) {
        self.commits = self.commits.saturating_sub(1);
    }

    fn is_settled(&self) -> bool {
        self.open.is_empty() && self.commits == 0
    }
}

impl Conversation {
    /// The server holds sound in this item.
    pub(super) fn transcript_begun(&mut self, item_id: &str) {
        self.transcripts.begin(item_id);
        if self.transcripts.open.len() > MAX_OPEN
            && let Some(oldest) = self.transcripts.open.pop_front()
        {
            self.report(CoreError::Protocol(format!(
                "{MAX_OPEN} items have no transcript: that of {} is waited for no longer",
                oldest.item_id
            )));
            self.interrupted(oldest);
        }
    }

    fn interrupted(&mut self, open: Open) {
        self.outbox.event(Event::Transcribed(Box::new(Transcribed {
            item_id: open.item_id,
            content_index: 0,
            text: open.text,
            interrupted: true,
            logprobs: None,
            languages: None,
            usage: None,
        })));
    }

    /// The connection is over: no transcript comes any more.
    pub(super) fn interrupt_transcripts(&mut self) {
        for open in std::mem::take(&mut self.transcripts.open) {
            self.interrupted(open);
        }
        self.transcripts.commits = 0;
    }

    /// Whether words are due: sound is at the server, or about to be.
    pub(super) fn awaits_words(&self) -> bool {
        match self.options.purpose {
            Purpose::Conversation => false,
            Purpose::Transcription => self.uncommitted || !self.transcripts.is_settled(),
            // It goes on for as long as the session does; at a goodbye it has been told to end.
            Purpose::Translation => true,
        }
    }

    /// Ends the session when all that was said so far has been transcribed, or translated.
    pub fn finish(&mut self, now: Duration) -> Result<(), Rejected> {
        self.connected()?;
        match self.options.purpose {
            Purpose::Conversation => {
                let why = "a conversation is ended with close()".to_owned();
                return Err(Rejected::Invalid(why));
            }
            Purpose::Transcription if self.uncommitted => self.commit_audio(now)?,
            Purpose::Transcription => {}
            Purpose::Translation => {
                let close = Map::from_iter([("type".to_owned(), json!("session.close"))]);
                self.outbox.message(Value::Object(close).to_string());
            }
        }
        self.transcripts.finishing = true;
        self.end_if_finished();
        Ok(())
    }

    /// Another connection has taken the place of one that was lost while the session was to end.
    pub(super) fn finish_again(&mut self, now: Duration) {
        if self.transcripts.finishing {
            // It stands.
            let _ = self.finish(now);
        }
    }

    pub(super) fn end_if_finished(&mut self) {
        let is_settled = self.options.purpose == Purpose::Transcription
            && self.transcripts.is_settled()
            && !self.uncommitted;
        if self.transcripts.finishing && is_settled && self.status == Status::Connected {
            self.say_goodbye();
        }
    }

    /// The server, or this side, has nothing more to say.
    pub(super) fn say_goodbye(&mut self) {
        let end = ConnectionEnd {
            reason: "all was said".to_owned(),
            is_clean: true,
            ..ConnectionEnd::default()
        };
        self.outbox.close(1000, "");
        self.ended(self.wire_id, end);
    }

    /// Sends the user's sound, by the event's name in sessions of this kind.
    pub(super) fn send_append(&mut self, mut append: ClientEvent) {
        const AT: usize = r#"{"type":""#.len();
        if self.options.purpose == Purpose::Translation {
            append.text.insert_str(AT, "session.");
        }
        self.outbox.message(append);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Options;

    #[test]
    fn items_without_a_transcript_fill_no_memory_and_each_has_an_end() {
        let mut conversation = Conversation::new(Options {
            purpose: Purpose::Transcription,
            ..Options::default()
        });
        for n in 0..MAX_OPEN + 10 {
            conversation.transcript_begun(&format!("i{n}"));
        }
        assert_eq!(conversation.transcripts.open.len(), MAX_OPEN);
        conversation.interrupt_transcripts();
        let mut ends = 0;
        while let Some(next) = conversation.poll_output() {
            let is_end = |it: &Event| matches!(it, Event::Transcribed(_));
            ends += usize::from(
                matches!(&next.output, crate::conversation::Output::Event(it) if is_end(it)),
            );
        }
        assert_eq!(ends, MAX_OPEN + 10);
    }
}
