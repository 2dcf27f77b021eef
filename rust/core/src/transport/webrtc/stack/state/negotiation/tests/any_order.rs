//! Any sections with any of these lines in any order: an offer is answered or refused, and an answer is taken or
//! refused.

use std::time::Instant;

use proptest::prelude::*;

use super::{HERE, answer, media, offer, side};
use crate::transport::webrtc::peer::PeerError;

const LINES: [&str; 60] = [
    "a=mid:0",
    "a=mid:1",
    "a=mid:2",
    "a=mid:",
    "a=mid:one two",
    "a=sendrecv",
    "a=recvonly",
    "a=sendonly",
    "a=inactive",
    "a=bundle-only",
    "a=group:BUNDLE 0",
    "a=group:BUNDLE 0 1",
    "a=group:BUNDLE 1 0 2",
    "a=group:BUNDLE",
    "a=group:LS 0 1",
    "a=ice-ufrag:them",
    "a=ice-ufrag:others",
    "a=ice-pwd:0123456789012345678901",
    "a=ice-pwd:9876543210987654321098",
    "a=ice-lite",
    "a=ice-options:trickle",
    "a=fingerprint:sha-256 00:11",
    "a=fingerprint:SHA-256 00:11:22 33",
    "a=fingerprint:sha-512 00",
    "a=fingerprint:",
    "a=setup:actpass",
    "a=setup:active",
    "a=setup:passive",
    "a=setup:holdconn",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:111 OPUS/48000",
    "a=rtpmap:111 opus/x",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:x y",
    "a=rtpmap:",
    "a=fmtp:111 maxaveragebitrate=1;stereo=1",
    "a=fmtp:111",
    "a=maxptime:10",
    "a=rtcp-fb:111 transport-cc",
    "a=rtcp-fb:* nack",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=extmap:x not a url",
    "a=ssrc:1 cname:x",
    "a=ssrc:1 msid:a b",
    "a=ssrc:x",
    "a=ssrc-group:FID 1 2",
    "a=msid:stream track",
    "a=msid:stream",
    "a=rid:1 send",
    "a=rid:1",
    "a=simulcast:send 1;2",
    "a=candidate:1 1 udp 5 198.51.100.1 5000 typ host",
    "a=candidate:1 1 udp 5 host 5000 typ host",
    "a=candidate:",
    "a=sctp-port:5000",
    "a=sctp-port:x",
    "a=max-message-size:-1",
    "b=AS:30",
    "c=IN IP4 0.0.0.0",
];

const MEDIA: [&str; 14] = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "m=audio 0 UDP/TLS/RTP/SAVPF 111",
    "m=audio 9 UDP/TLS/RTP/SAVPF 8 111 0 13 300 x",
    "m=audio 9/2 RTP/SAVPF 111 111",
    "m=audio 9 X",
    "m=audio",
    "m=video 9 UDP/TLS/RTP/SAVPF 111",
    "m=video 0 UDP/TLS/RTP/SAVPF 96",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    "m=application 9 DTLS/SCTP 5000",
    "m=text 9 RTP/AVP 98",
    "m=",
];

/// Sections which are complete, or lack what is drawn.
fn sections() -> impl Strategy<Value = Vec<String>> {
    let line = proptest::sample::select(&LINES[..]);
    let usual = "a=rtpmap:111 opus/48000/2\r\na=ice-ufrag:them\r\n\
                 a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n";
    let section = (
        proptest::sample::select(&MEDIA[..]),
        any::<bool>(),
        proptest::collection::vec(line, 0..8),
    );
    let section = section.prop_map(move |(media, is_usual, lines)| {
        let usual = if is_usual { usual } else { "" };
        format!("{media}\r\n{usual}{}\r\n", lines.join("\r\n"))
    });
    proptest::collection::vec(section, 0..5)
}

fn session() -> impl Strategy<Value = String> {
    let line = proptest::sample::select(&LINES[..]);
    proptest::collection::vec(line, 0..3).prop_map(|lines| {
        let lines = lines.iter().map(|line| format!("{line}\r\n"));
        lines.collect()
    })
}

proptest! {
    #[test]
    fn an_offer_is_answered_or_refused(session in session(), sections in sections()) {
        let offer = offer(&session, &sections);
        match answer(&offer) {
            Ok(answered) => {
                let (offered, answered) = (media(&offer), media(&answered));
                let kinds = |media: &[(&str, bool)]| -> Vec<String> {
                    media.iter().map(|it| it.0.to_owned()).collect()
                };
                prop_assert_eq!(kinds(&offered), kinds(&answered));
                let live = |kind| answered.iter().filter(|it| **it == (kind, true)).count();
                // The second is one that another has its address from.
                prop_assert!((1..=2).contains(&live("audio")));
                prop_assert!(live("application") <= 1 && live("video") <= 1);
            }
            Err(why) => prop_assert!(!why.is_empty()),
        }
    }

    #[test]
    fn an_answer_is_taken_or_refused(session in session(), sections in sections()) {
        let now = Instant::now();
        let mut state = side(HERE, now);
        state.offer().unwrap();
        let taken = state.accept(&offer(&session, &sections), now, |_, _, _| {});
        prop_assert!(matches!(taken, Ok(()) | Err(PeerError::Description(_))), "{:?}", taken);
    }

    #[test]
    fn any_text_is_answered_or_refused(text in "(v=0|[a-z]=|a=[a-z-]+:|m=audio 9 |[ -~]{0,9}|\\PC|\r|\n){0,40}") {
        let _ = answer(&text);
    }
}
