//! A connection that its user carries, with no driver of ours.

use super::Connection;
use crate::transport::{
    DownlinkFrame, Endpoint as _, Frame, Outgoing, SoundEndpoint as _, UplinkFrame,
};

impl Connection {
    /// A text frame came. All sound of a segment that it ends came before it.
    pub fn receive(&self, frame: &str) {
        let before = self.segment();
        self.on_frame(Frame::Text(frame));
        if before != 0 && before != self.segment() {
            self.on_segment_ended(before);
        }
    }

    /// Sound came beside the frames, at the rate of the session's output format.
    pub fn receive_sound(&self, samples: &[i16]) {
        self.on_sound(self.segment(), DownlinkFrame::Samples(samples));
    }

    /// The user's sound that is to be sent beside the messages now. Ends of turns are committed.
    pub fn take_sound(&self) -> Vec<Vec<i16>> {
        let mut taken = Vec::new();
        let Some(uplink) = self.uplink() else {
            return taken;
        };
        while let Some(piece) = uplink.take() {
            match piece {
                UplinkFrame::Samples(samples) => taken.push(samples),
                UplinkFrame::Mark => self.on_mark(),
                // It has not said that it takes any.
                UplinkFrame::Packet(..) => {}
            }
        }
        self.on_room();
        taken
    }

    /// The messages that are to be sent now.
    pub fn take_messages(&self) -> Vec<Outgoing> {
        let mut batch = Vec::new();
        self.take_outgoing(&mut batch, usize::MAX);
        self.on_flushed();
        batch
    }
}
