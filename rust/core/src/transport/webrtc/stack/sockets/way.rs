//! The way to the far side, and the sockets when it begins at another address of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};

use super::{Plain, Sockets};
use crate::transport::net::addresses::{is_here, towards};
use crate::transport::webrtc::stack::relay::Relay;

/// Where the path of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport::webrtc::stack) enum LocalAddress {
    /// Where it was, or nowhere at present.
    Same,
    /// This machine has this address now in place of the path's.
    Moved(IpAddr),
    /// Its address is gone, and no other can take its place.
    Gone,
}

impl Sockets {
    /// Looks whether the path from `local` to `remote` begins at an address of this machine still.
    pub fn check(&self, local: SocketAddr, remote: SocketAddr) -> LocalAddress {
        let way = towards(remote);
        let sockets = self.plain();
        let Some(plain) = sockets.iter().find(|it| it.address == local) else {
            // A relayed one: what the server relays to is gone with the address.
            let relays = self.relays();
            let base = relays.iter().find(|it| it.is_at(local)).map(Relay::base);
            return match base {
                Some(base) if !is_here(base.ip()) && way.is_some() => LocalAddress::Gone,
                _ => LocalAddress::Same,
            };
        };
        let Some(way) = way else {
            return LocalAddress::Same;
        };
        let before = *plain.way.get_or_init(|| way);
        if way == plain.ip || (is_here(plain.ip) && (way == before || !self.allowed.is_empty())) {
            return LocalAddress::Same;
        }
        if self.allowed.is_empty() || self.allowed.contains(&way) {
            return LocalAddress::Moved(way);
        }
        let alike = |it: &&IpAddr| it.is_ipv4() == local.is_ipv4() && is_here(**it);
        match self.allowed.iter().find(alike) {
            Some(other) => LocalAddress::Moved(*other),
            None => LocalAddress::Gone,
        }
    }

    /// Notes the way to the far side, of a path that stands: it may change before anybody looks for the reason of
    /// a silence.
    pub fn note_way(&self, remote: SocketAddr) {
        if let Some(way) = towards(remote) {
            for plain in self.plain().iter() {
                plain.way.get_or_init(|| way);
            }
        }
    }

    /// Puts a socket at `ip` in the place of the one at `local`. Must be called within a tokio runtime.
    pub fn replace(&self, local: SocketAddr, ip: IpAddr) -> io::Result<()> {
        let replacement = Plain::open(ip, Some(local))?;
        let mut sockets = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = sockets.iter().map(|plain| {
            let is_it = plain.address == local;
            Arc::clone(if is_it { &replacement } else { plain })
        });
        *sockets = replaced.collect();
        Ok(())
    }
}
