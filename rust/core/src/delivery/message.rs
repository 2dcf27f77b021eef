//! The messages that a queue holds.

/// What a queue may do with a message while more waits than its bounds allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropPolicy {
    /// It stays.
    Keep,
    /// It stays, and when it comes the audio that it interrupts goes (see [`Message::purges`]).
    Interruption,
    /// Audio: the oldest goes first.
    Audio,
    /// A raw event: the oldest goes first.
    Raw,
    /// A piece of text: it is merged into a later piece of the same text. One that has no later piece
    /// goes only where nothing else can.
    Delta,
    /// A version of a state: it goes once a later version makes it superfluous.
    Version,
}

/// How many messages of each kind a queue has dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    pub audio: u64,
    pub raw: u64,
    pub deltas: u64,
}

impl Dropped {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a queue must know of a message.
pub trait Message: Sized {
    fn policy(&self) -> DropPolicy;

    /// Bytes that count against the bound of the queue.
    fn size(&self) -> usize;

    /// Whether the reader of this message may look at the last [`DropPolicy::Version`] before it.
    /// Versions are dropped only where no such message stands between them and a later version.
    fn observes_version(&self) -> bool;

    /// Whether this [`DropPolicy::Interruption`] interrupts that [`DropPolicy::Audio`].
    fn purges(&self, audio: &Self) -> bool;

    /// Whether this is a later piece of the text that `earlier` belongs to.
    fn continues(&self, earlier: &Self) -> bool;

    /// Puts the text of an earlier piece, which this one continues, before its own.
    fn prepend(&mut self, earlier: Self);

    /// Says how many messages were dropped.
    fn lagging(dropped: Dropped) -> Self;

    /// Says that so many messages waited, which is too many, and that none of them may be dropped.
    fn too_slow(waiting: usize) -> Self;
}
