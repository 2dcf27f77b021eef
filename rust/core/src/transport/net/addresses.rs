//! The addresses of this machine: which there are, and from which one a far side is reached.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The most addresses that are offered: each has a socket in each call.
const MAX_ADDRESSES: usize = 8;

/// The addresses under which a far side may reach this machine, beginning with `preferred`, from which it
/// reaches that side. Where that is of the machine alone (loopback), so is the far side, and there is no
/// other.
pub(in crate::transport) fn reachable(preferred: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![preferred];
    if preferred.is_loopback() {
        return all;
    }
    for address in assigned() {
        if all.len() < MAX_ADDRESSES && is_usable(address) && !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

/// The address from which this machine sends to `to`, if there is a way. Nothing is sent.
pub(crate) fn towards(to: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

/// Whether it is an address of this machine now.
pub(in crate::transport) fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn is_usable(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(it) => it.is_link_local(),
        IpAddr::V6(it) => it.is_unicast_link_local(),
    };
    !is_link_local && !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}

/// The addresses of the interfaces that are up.
#[cfg(unix)]
fn assigned() -> Vec<IpAddr> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: it writes a pointer to `list`, which is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: an entry of the list, which is not freed yet.
        let entry = unsafe { &*next };
        let wanted = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_uint;
        if entry.ifa_flags & wanted == wanted && !entry.ifa_addr.is_null() {
            // SAFETY: the address of an entry of the list is valid, and as long as its family says.
            found.extend(unsafe { ip(entry.ifa_addr) });
        }
        next = entry.ifa_next;
    }
    // SAFETY: `getifaddrs` made it, and nothing refers to it any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

/// Nothing is known of the other interfaces there.
#[cfg(not(unix))]
fn assigned() -> Vec<IpAddr> {
    Vec::new()
}

/// # Safety
///
/// `address` points to an address of the family that it names.
#[cfg(unix)]
unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: by the caller's promise; it may be aligned to less than the types need.
    unsafe {
        match libc::c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let address = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::from(address.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 => {
                let address = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::from(address.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_server_is_on_this_machine_only_it_is_offered() {
        let here = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(reachable(here), [here]);
        assert_eq!(towards(SocketAddr::new(here, 9)), Some(here));
    }

    #[test]
    fn the_way_to_the_server_is_offered_first_and_what_leads_nowhere_never() {
        let first = IpAddr::from([192, 0, 2, 200]);
        let all = reachable(first);
        assert_eq!(all[0], first);
        for address in &all[1..] {
            assert!(is_usable(*address) && is_here(*address), "{address}");
        }
        for useless in [
            "127.0.0.1",
            "::1",
            "169.254.1.1",
            "fe80::1",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            assert!(!is_usable(useless.parse().unwrap()), "{useless}");
        }
        assert!(!is_here(first));
    }
}
