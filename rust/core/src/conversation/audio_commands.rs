//! The commands that send the user's sound.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Conversation;
use super::client_event::ClientEvent;
use super::commands::{Rejected, text_of};
use super::core_error::CoreError;
use super::early_audio::Early;
use super::event::Status;

impl Conversation {
    /// Sends audio: an `input_audio_buffer.append`, or nothing, and `wire`, the same as bytes; where
    /// that is empty, they are read from the message. It is dropped while muted; a commit then is of
    /// what was sent before.
    pub fn send_audio(
        &mut self,
        append: Option<ClientEvent>,
        wire: &[u8],
        commit: bool,
        now: Duration,
    ) -> Result<(), Rejected> {
        if self.status == Status::Connecting {
            if let Some(append) = append.filter(|_| !self.muted) {
                self.early_audio.append(append);
            }
            if commit {
                self.early_audio.commit(now);
            }
            return Ok(());
        }
        self.connected()?;
        if let Some(append) = append.filter(|_| !self.muted) {
            self.uncommitted = true;
            self.keep_sound(&append, wire);
            if self.status == Status::Connected {
                self.send_append(append);
            }
        }
        if commit && (self.uncommitted || !self.muted) {
            self.commit_audio(now)?;
        }
        Ok(())
    }

    /// Sends the sound of while the connection was made.
    pub(super) fn send_early_audio(&mut self) -> Result<(), Rejected> {
        let (waiting, dropped) = self.early_audio.take();
        if dropped > 0 {
            self.report(CoreError::NotSent(format!(
                "the first {dropped} pieces of the sound that was given while the session was \
                 connecting are lost: more than 1 MiB of it was waiting"
            )));
        }
        for early in waiting {
            match early {
                Early::Append(append) => {
                    self.uncommitted = true;
                    self.keep_sound(&append, &[]);
                    self.send_append(append);
                }
                Early::Commit(then) => self.commit_audio(then)?,
            }
        }
        Ok(())
    }

    /// The user's sound is sent over a media track.
    pub(crate) fn sound_on_track(&mut self) {
        self.uncommitted = true;
    }

    /// Commits the user's audio: the user's turn ends here.
    pub fn commit_audio(&mut self, now: Duration) -> Result<(), Rejected> {
        self.connected()?;
        self.uncommitted = false;
        self.turn_ended = Some(now);
        self.send_commit();
        Ok(())
    }

    /// Keeps the user's sound for another connection.
    pub(super) fn keep_sound(&mut self, append: &ClientEvent, wire: &[u8]) {
        if !self.survives() {
            return;
        }
        if wire.is_empty() {
            self.note_sound(&append.sound());
        } else {
            self.note_sound(wire);
        }
    }

    /// Sends the end of the user's turn.
    fn send_commit(&mut self) {
        self.note_commit();
        if self.status == Status::Connected {
            self.transcripts.commit_sent();
            self.outbox.message(ClientEvent::audio_commit());
        }
    }

    /// Takes note of an event that the user wrote about sound or configuration. Whether a new connection
    /// is told what it says in any case.
    pub(super) fn note_sound_event(&mut self, event: &Map<String, Value>) -> bool {
        match text_of(event, "type").unwrap_or_default() {
            "input_audio_buffer.commit" => self.note_commit(),
            "input_audio_buffer.clear" if self.status == Status::Reconnecting => self.note_clear(),
            "session.update"
            | "response.cancel"
            | "input_audio_buffer.append"
            | "input_audio_buffer.clear" => {}
            _ => return false,
        }
        true
    }
}
