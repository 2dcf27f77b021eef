//! Reads what clients send: microphone audio is counted and dropped without being looked at.

/// How much of a long message is looked at, at each end, to tell whether it is microphone audio.
const END: usize = 64;
const APPEND: &[u8] = b"input_audio_buffer.append";
const LONGEST: usize = 16 * 1024 * 1024;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Microphone audio: the length of the whole message.
    Audio(usize),
    Event(Vec<u8>),
    Ping(Vec<u8>),
    Close(Vec<u8>),
}

/// It sent what this server does not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The half of a WebSocket that reads; it is fed whatever a read gives.
#[derive(Debug, Default)]
pub struct Inbound {
    header: Vec<u8>,
    frame: Option<Frame>,
}

#[derive(Debug)]
struct Frame {
    opcode: u8,
    mask: [u8; 4],
    length: usize,
    seen: usize,
    kept: Vec<u8>,
    /// It is known to be audio: the rest is skipped.
    skipped: bool,
}

impl Inbound {
    /// Takes in `bytes`, and gives all that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Said)) -> Result<(), Unreadable> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => match read_header(&mut self.header, &mut bytes)? {
                    Some(frame) => self.frame.insert(frame),
                    None => return Ok(()),
                },
            };
            let here = bytes.len().min(frame.length - frame.seen);
            frame.take(&bytes[..here]);
            bytes = &bytes[here..];
            if frame.seen < frame.length {
                return Ok(());
            }
            if let Some(said) = self.frame.take().and_then(Frame::finish) {
                each(said);
            }
        }
    }
}

/// Reads a header, which may come in pieces.
fn read_header(held: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<Option<Frame>, Unreadable> {
    loop {
        if let Some(frame) = parse_header(held)? {
            held.clear();
            return Ok(Some(frame));
        }
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        held.push(byte);
        *bytes = rest;
    }
}

fn parse_header(header: &[u8]) -> Result<Option<Frame>, Unreadable> {
    let &[first, second, ref rest @ ..] = header else {
        return Ok(None);
    };
    let is_whole = first & 0xF0 == 0x80;
    let is_masked = second & 0x80 != 0;
    if !is_whole || !is_masked {
        return Err(Unreadable);
    }
    let wide = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if rest.len() < wide + 4 {
        return Ok(None);
    }
    let length = if wide == 0 {
        usize::from(second & 0x7F)
    } else {
        let number = |length: u64, byte: &u8| length << 8 | u64::from(*byte);
        rest[..wide].iter().fold(0, number) as usize
    };
    if length > LONGEST {
        return Err(Unreadable);
    }
    Ok(Some(Frame {
        opcode: first & 0x0F,
        mask: [rest[wide], rest[wide + 1], rest[wide + 2], rest[wide + 3]],
        length,
        seen: 0,
        kept: Vec::new(),
        skipped: false,
    }))
}

impl Frame {
    fn take(&mut self, bytes: &[u8]) {
        let from = self.seen;
        self.seen += bytes.len();
        if self.skipped {
            return;
        }
        let unmasked = bytes
            .iter()
            .zip(from..)
            .map(|(byte, at)| byte ^ self.mask[at % 4]);
        if self.kept.len() < END && self.length > 2 * END {
            let head = END - self.kept.len();
            self.kept.extend(unmasked.clone().take(head));
            if self.kept.len() == END && memchr::memmem::find(&self.kept, APPEND).is_some() {
                self.skipped = true;
                return;
            }
            self.kept.extend(unmasked.skip(head));
        } else {
            self.kept.extend(unmasked);
        }
    }

    fn finish(self) -> Option<Said> {
        let tail = &self.kept[self.kept.len().saturating_sub(END)..];
        match self.opcode {
            1 if self.skipped => Some(Said::Audio(self.length)),
            1 if memchr::memmem::find(tail, APPEND).is_some() => Some(Said::Audio(self.length)),
            1 => Some(Said::Event(self.kept)),
            8 => Some(Said::Close(self.kept)),
            9 => Some(Said::Ping(self.kept)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x80 | opcode];
        if payload.len() < 126 {
            frame.push(0x80 | payload.len() as u8);
        } else {
            frame.push(0xFE);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(0..)
                .map(|(byte, at)| byte ^ mask[at % 4]),
        );
        frame
    }

    fn sent() -> (Vec<u8>, Vec<Said>) {
        let sound = "A".repeat(6400);
        let first = format!("{{\"type\":\"input_audio_buffer.append\",\"audio\":\"{sound}\"}}");
        let last = format!("{{\"audio\":\"{sound}\",\"type\":\"input_audio_buffer.append\"}}");
        let update = format!(
            "{{\"type\":\"session.update\",\"is\":\"{}\"}}",
            "x".repeat(300)
        );
        let event = b"{\"type\":\"response.create\"}";
        let bytes = [
            masked(1, first.as_bytes()),
            masked(1, last.as_bytes()),
            masked(9, b"hi"),
            masked(1, update.as_bytes()),
            masked(1, event),
            masked(8, b""),
        ];
        let said = vec![
            Said::Audio(first.len()),
            Said::Audio(last.len()),
            Said::Ping(b"hi".to_vec()),
            Said::Event(update.into_bytes()),
            Said::Event(event.to_vec()),
            Said::Close(Vec::new()),
        ];
        (bytes.concat(), said)
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let (bytes, expected) = sent();
        for piece in [1, 3, 64, 1000, bytes.len()] {
            let (mut inbound, mut said) = (Inbound::default(), Vec::new());
            for bytes in bytes.chunks(piece) {
                assert_eq!(inbound.feed(bytes, |one| said.push(one)), Ok(()));
            }
            assert_eq!(said, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn fragments_and_unmasked_frames_are_refused() {
        for bytes in [[0x01, 0x80, 0, 0, 0, 0], [0x81, 0x00, 0, 0, 0, 0]] {
            let mut inbound = Inbound::default();
            assert_eq!(inbound.feed(&bytes, |_| ()), Err(Unreadable));
        }
    }
}
