//! The caller's end of a call: what stands between a carrier's media stream and a session.
//!
//! - [`carrier`]: what a carrier's codec is; [`carriers`]: one file for each.
//! - [`Leg`]: the caller's end as a state machine: codec, [`PlayoutTracker`] and [`Intake`].
//! - [`Call`]: a leg that is coupled with a session, and driven by a socket or by messages.
//! - [`server`]: paths and ports, and the calls that come to them.
//! - [`security`]: who may call.
//! - [`webrtc`]: lines of browsers over WebRTC.

mod call;
pub mod carrier;
pub mod carriers;
mod event;
mod files;
mod intake;
mod leg;
mod line;
mod options;
mod playout;
mod registry;
pub mod security;
pub mod server;
#[cfg(feature = "webrtc")]
pub mod webrtc;

pub use call::{Call, CallObserver};
pub use event::{CallEvent, Digit, EndedBy};
pub use files::Files;
pub use intake::{Intake, IntakeOptions, IntakeStats};
pub use leg::{CallEnd, Effects, Leg, LegOptions, UnsentMessage};
pub use line::CallLine;
pub use options::CallOptions;
pub use playout::PlayoutTracker;
pub use registry::Registry;
