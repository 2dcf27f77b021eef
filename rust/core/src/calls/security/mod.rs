//! Who may call: the signatures of the carriers, and tokens of our own.
//!
//! A carrier tells of a call by a webhook, is answered with where to stream the sound, and opens a
//! WebSocket to there. The webhook is signed, and so is the upgrade of some carriers
//! ([`signatures`]). For all of them the answer to the webhook carries a [token](`tokens`), which
//! comes back with the stream. A web page is told from pages of others by its [origin](`origins`).
//!
//! No I/O and no clock: time is an argument, as the time since the Unix epoch.

pub mod origins;
pub mod signatures;
pub mod tokens;
pub mod upgrades;
