//! The playback position of the answer, which tells where an interruption cuts it.

use std::sync::Arc;
use std::time::Duration;

use crate::audio::format::AudioFormat;

use super::item::HeardExtent;

/// How the position of playback is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlaybackSource {
    /// By the wall clock since the first chunk arrived, as the reference does.
    #[default]
    Clock,
    /// By the player's reports.
    Reports,
}

/// The part of an answer that is being played.
#[derive(Debug)]
struct Part {
    response_id: Arc<str>,
    item_id: Arc<str>,
    content_index: usize,
    first_chunk: Duration,
    length_ms: f64,
    generated: bool,
    /// The position that the player reported last, in milliseconds.
    reported_ms: f64,
}

/// Where to cut, and whether the server must be told.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) response_id: Arc<str>,
    pub(super) item_id: Arc<str>,
    pub(super) content_index: usize,
    pub(super) audio_end_ms: u64,
    /// The length of the audio that was received, in milliseconds.
    pub(super) length_ms: f64,
    /// False if the part was complete and played to its end: there is nothing to cut.
    pub(super) cuts: bool,
}

#[derive(Debug)]
pub(super) struct Playback {
    source: PlaybackSource,
    part: Option<Part>,
    /// The format of the session's output, where the last `session.updated` named one.
    format: Option<AudioFormat>,
}

impl Playback {
    pub(super) fn new(source: PlaybackSource) -> Self {
        Self {
            source,
            part: None,
            format: None,
        }
    }

    pub(super) fn set_format(&mut self, format: Option<AudioFormat>) {
        self.format = format;
    }

    pub(super) fn format(&self) -> Option<AudioFormat> {
        self.format
    }

    /// The ids of the response and the item that are being played.
    pub(super) fn ids(&self) -> Option<(&Arc<str>, &Arc<str>)> {
        let part = self.part.as_ref()?;
        Some((&part.response_id, &part.item_id))
    }

    /// A chunk of `bytes` arrived. A new item or content part starts its own clock and length.
    pub(super) fn chunk(
        &mut self,
        response_id: &Arc<str>,
        item_id: &Arc<str>,
        content_index: usize,
        bytes: usize,
        format: AudioFormat,
        now: Duration,
    ) {
        let same = self
            .part
            .as_ref()
            .is_some_and(|part| part.item_id == *item_id && part.content_index == content_index);
        if !same {
            self.part = Some(Part {
                response_id: Arc::clone(response_id),
                item_id: Arc::clone(item_id),
                content_index,
                first_chunk: now,
                length_ms: 0.0,
                generated: false,
                reported_ms: 0.0,
            });
        }
        if let Some(part) = &mut self.part {
            part.length_ms += format.duration_ms(bytes as u64);
        }
    }

    /// All audio of the current part has been generated.
    pub(super) fn generated(&mut self) {
        if let Some(part) = &mut self.part {
            part.generated = true;
        }
    }

    /// Ends the part of a response that was played to its end. Returns the part's length, unless
    /// another response was playing.
    pub(super) fn played_out(&mut self, response_id: &str) -> Option<f64> {
        let part = self
            .part
            .take_if(|part| *part.response_id == *response_id)?;
        Some(part.length_ms)
    }

    /// Handles the player's report that it has played `played_ms` of that part.
    pub(super) fn report(&mut self, item_id: &str, content_index: usize, played_ms: f64) {
        if let Some(part) = &mut self.part
            && *part.item_id == *item_id
            && part.content_index == content_index
        {
            part.reported_ms = played_ms.max(0.0);
        }
    }

    /// Stops playback. Returns the cut, or `None` if nothing was playing.
    pub(super) fn interrupt(&mut self, now: Duration) -> Option<Cut> {
        let part = self.part.take()?;
        let elapsed_ms = match self.source {
            // Convert from whole microseconds: seconds as a float can round a millisecond away.
            PlaybackSource::Clock => {
                now.saturating_sub(part.first_chunk).as_micros() as f64 / 1000.0
            }
            PlaybackSource::Reports => part.reported_ms,
        };
        Some(Cut {
            response_id: part.response_id,
            item_id: part.item_id,
            content_index: part.content_index,
            // The server takes whole milliseconds, and at most the length of the audio.
            audio_end_ms: elapsed_ms.min(part.length_ms).floor().max(0.0) as u64,
            length_ms: part.length_ms,
            cuts: !(part.generated && elapsed_ms >= part.length_ms),
        })
    }

    /// Forgets the part, for a new connection. The format stays until the server states another
    /// one, because the new connection gets the same configuration.
    pub(super) fn reset(&mut self) {
        self.part = None;
    }
}

/// The share of `transcript` that was heard before `cut`: by time, ending at a whole word.
pub(super) fn heard(transcript: &str, cut: &Cut) -> HeardExtent {
    let share = if cut.length_ms > 0.0 {
        (cut.audio_end_ms as f64 / cut.length_ms).min(1.0)
    } else {
        0.0
    };
    let limit = (transcript.chars().count() as f64 * share).floor() as usize;
    let end = transcript
        .char_indices()
        .nth(limit)
        .map_or(transcript.len(), |(at, _)| at);
    let within = &transcript[..end];
    let whole = if end == transcript.len() || transcript[end..].starts_with(char::is_whitespace) {
        within
    } else {
        within
            .rfind(char::is_whitespace)
            .map_or("", |at| &within[..at])
    };
    HeardExtent {
        audio_end_ms: cut.audio_end_ms,
        transcript: whole.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCM: AudioFormat = AudioFormat::Pcm { rate: 24_000 };

    fn playing(source: PlaybackSource, bytes: usize) -> Playback {
        let mut playback = Playback::new(source);
        playback.chunk(
            &"r".into(),
            &"i".into(),
            0,
            bytes,
            PCM,
            Duration::from_secs(1),
        );
        playback
    }

    #[test]
    fn the_cut_is_the_elapsed_time_in_whole_milliseconds() {
        let cut = playing(PlaybackSource::Clock, 9600).interrupt(Duration::from_micros(1_050_900));
        assert_eq!(
            cut.map(|cut| (cut.audio_end_ms, cut.cuts)),
            Some((50, true))
        );
    }

    #[test]
    fn no_millisecond_is_lost_to_floating_point() {
        for ms in 0..200_000u64 {
            let mut playback = playing(PlaybackSource::Clock, 48 * 200_000);
            let now = Duration::from_secs(1) + Duration::from_millis(ms);
            assert_eq!(
                playback.interrupt(now).map(|cut| cut.audio_end_ms),
                Some(ms)
            );
        }
    }

    #[test]
    fn the_cut_never_exceeds_the_audio_received() {
        let cut = playing(PlaybackSource::Clock, 9600).interrupt(Duration::from_secs(60));
        assert_eq!(cut.map(|cut| cut.audio_end_ms), Some(200));
    }

    #[test]
    fn audio_that_has_been_played_to_its_end_is_not_cut() {
        let mut playback = playing(PlaybackSource::Clock, 9600);
        playback.generated();
        assert_eq!(
            playback
                .interrupt(Duration::from_secs(60))
                .map(|cut| cut.cuts),
            Some(false)
        );
    }

    #[test]
    fn another_part_starts_its_own_clock() {
        let mut playback = playing(PlaybackSource::Clock, 9600);
        playback.chunk(
            &"r".into(),
            &"i".into(),
            1,
            9600,
            PCM,
            Duration::from_millis(1100),
        );
        let cut = playback.interrupt(Duration::from_millis(1130)).unwrap();
        assert_eq!((cut.content_index, cut.audio_end_ms), (1, 30));
    }

    #[test]
    fn reports_of_the_player_replace_the_clock() {
        let mut playback = playing(PlaybackSource::Reports, 9600);
        playback.report("i", 0, 120.7);
        playback.report("other", 0, 500.0);
        let cut = playback.interrupt(Duration::from_secs(60)).unwrap();
        assert_eq!((cut.audio_end_ms, cut.cuts), (120, true));
    }

    #[test]
    fn what_was_heard_ends_at_a_word() {
        let mut cut = playing(PlaybackSource::Clock, 48_000)
            .interrupt(Duration::from_secs(9))
            .unwrap();
        cut.audio_end_ms = 500;
        assert_eq!(heard("one two three four", &cut).transcript, "one two");
        cut.audio_end_ms = 1000;
        assert_eq!(
            heard("one two three four", &cut).transcript,
            "one two three four"
        );
        cut.audio_end_ms = 0;
        assert_eq!(heard("one two", &cut).transcript, "");
    }
}
