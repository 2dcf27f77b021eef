//! Descriptions as programs write them, on the stack: two sides that connect, and one that answers.

mod any_order;
mod idle;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::State;
use crate::transport::net::Tls;
use crate::transport::webrtc::peer::{PeerError, PeerEvent, PeerSettings};
use crate::transport::webrtc::stack::candidate::Candidate;

const HERE: &str = "192.0.2.1:4000";
const THERE: &str = "192.0.2.2:5000";

const FINGERPRINT: &str = "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

/// The lines by which a section says where it goes.
const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\na=ice-pwd:0123456789012345678901\r\n\
                         a=setup:actpass\r\na=rtcp-mux\r\n";

fn side(address: &str, now: Instant) -> Box<State> {
    let address: SocketAddr = address.parse().unwrap();
    let settings = PeerSettings {
        local: vec![address.ip()],
        channel: "test",
        is_bound: true,
        ice_servers: Vec::new(),
        ice_server_timeout: Duration::from_secs(1),
        tls: Tls::default(),
        channel_buffer: 1 << 20,
        disconnected_after: Duration::from_secs(5),
        failed_after: Duration::from_secs(10),
        dtx: false,
        fec: true,
    };
    Box::new(State::new(&settings, &[Candidate::Host(address)], now).unwrap())
}

/// The answer to an offer.
fn answer(offer: &str) -> Result<String, String> {
    let now = Instant::now();
    match side(HERE, now).answer(offer, now, |_, _, _| {}) {
        Ok(answer) => Ok(answer),
        Err(PeerError::Description(why)) => Err(why),
        Err(error) => panic!("{error:?} is no fault of the offer"),
    }
}

/// An offer with these sections, which share a transport where they have `BUNDLE`.
fn offer(session: &str, sections: &[String]) -> String {
    let head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    format!(
        "{head}a=fingerprint:{FINGERPRINT}\r\n{session}{}",
        sections.concat()
    )
}

fn audio(lines: &str) -> String {
    format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{TRANSPORT}a=rtpmap:111 opus/48000/2\r\n{lines}")
}

fn video(lines: &str) -> String {
    format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{TRANSPORT}a=rtpmap:96 VP8/90000\r\n{lines}")
}

fn channel(lines: &str) -> String {
    format!(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{TRANSPORT}a=sctp-port:5000\r\n{lines}"
    )
}

/// The media of a description, each with whether it is taken.
fn media(description: &str) -> Vec<(&str, bool)> {
    let media = description.lines().filter_map(|it| it.strip_prefix("m="));
    media
        .map(|it| {
            let (kind, rest) = it.split_once(' ').unwrap();
            (kind, !rest.starts_with("0 "))
        })
        .collect()
}

/// Two sides that offer and answer, whose descriptions are changed on their way, and what one of them is sent.
struct Call {
    sides: [Box<State>; 2],
    now: Instant,
    under_way: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Call {
    fn begin(
        change_offer: impl Fn(String) -> String,
        change_answer: impl Fn(String) -> String,
    ) -> Result<(Self, String), PeerError> {
        let now = Instant::now();
        let mut sides = [side(HERE, now), side(THERE, now)];
        let offer = change_offer(sides[0].offer()?);
        let answer = change_answer(sides[1].answer(&offer, now, |_, _, _| {})?);
        sides[0].accept(&answer, now, |_, _, _| {})?;
        let under_way = VecDeque::new();
        let call = Self {
            sides,
            now,
            under_way,
        };
        Ok((call, answer))
    }

    /// Runs for a while, and says whether both sides have an open channel then.
    fn runs(&mut self) -> bool {
        (0..1_000).any(|_| {
            self.step();
            self.sides.iter().all(|it| it.is_open())
        })
    }

    /// Runs for 5 ms.
    fn step(&mut self) {
        let addresses: [SocketAddr; 2] = [HERE, THERE].map(|it| it.parse().unwrap());
        let (now, under_way) = (self.now + Duration::from_millis(5), &mut self.under_way);
        self.now = now;
        for (state, at) in self.sides.iter_mut().zip(&addresses) {
            while let Some(index) = under_way.iter().position(|(_, to, _)| to == at) {
                let (from, to, datagram) = under_way.remove(index).unwrap();
                state.handle(&datagram, from, to, now, |from, to, datagram| {
                    under_way.push_back((from, to, datagram.to_vec()));
                });
            }
            if state.deadline <= now {
                state.tick(now, |from, to, datagram| {
                    under_way.push_back((from, to, datagram.to_vec()));
                });
            }
        }
    }
}

fn connects(
    change_offer: impl Fn(String) -> String,
    change_answer: impl Fn(String) -> String,
) -> String {
    let (mut call, answer) = Call::begin(change_offer, change_answer).unwrap();
    assert!(call.runs(), "no connection by {answer}");
    let events = &call.sides[0].events;
    assert!(events.contains(&PeerEvent::Opened));
    answer
}

fn same(description: String) -> String {
    description
}

#[test]
fn two_sides_connect() {
    let answer = connects(same, same);
    assert_eq!(media(&answer), [("audio", true), ("application", true)]);
}

#[test]
fn a_direction_that_is_not_said_is_both() {
    let without = |it: String| it.replace("a=sendrecv\r\n", "");
    connects(without, same);
    connects(same, without);
    connects(without, without);
    // What stands before all sections holds for those that say nothing.
    let session = |it: String| without(it).replacen("t=0 0\r\n", "t=0 0\r\na=sendrecv\r\n", 1);
    connects(session, session);
    let receiving = offer("a=recvonly\r\n", &[audio("a=mid:0\r\n")]);
    let answer = answer(&receiving).unwrap();
    assert!(answer.contains("a=sendonly"), "{answer}");
}

#[test]
fn an_offer_without_a_group_is_answered_without() {
    let one = answer(&offer("", &[audio("a=mid:0\r\n")])).unwrap();
    assert_eq!(media(&one), [("audio", true)]);
    assert!(!one.contains("a=group"), "{one}");
    assert!(one.contains("a=mid:0\r\n"), "{one}");
    // There is one transport.
    let two = offer("", &[audio("a=mid:0\r\n"), channel("a=mid:1\r\n")]);
    let two = answer(&two).unwrap();
    assert_eq!(media(&two), [("audio", true), ("application", false)]);
    assert!(!two.contains("a=group"), "{two}");
    // A group of others, or one for another purpose.
    for group in ["BUNDLE 1 2", "LS 0 1", "BUNDLE", "BUNDLE nobody"] {
        let session = format!("a=group:{group}\r\n");
        let other = [
            audio("a=mid:0\r\n"),
            video("a=mid:2\r\n"),
            channel("a=mid:1\r\n"),
        ];
        let answer = answer(&offer(&session, &other)).unwrap();
        let expected = [("audio", true), ("video", false), ("application", false)];
        assert_eq!(media(&answer), expected, "{group}");
        assert!(!answer.contains("a=group"), "{answer}");
    }
    let session = "a=group:LS 0 1\r\na=group:BUNDLE 0 1\r\n";
    let both = offer(session, &[audio("a=mid:0\r\n"), channel("a=mid:1\r\n")]);
    let both = answer(&both).unwrap();
    assert_eq!(media(&both), [("audio", true), ("application", true)]);
    assert!(both.contains("a=group:BUNDLE 0 1\r\n"), "{both}");
}

#[test]
fn a_side_whose_descriptions_have_no_group_connects() {
    let without = |it: String| -> String {
        let lines = it.split_inclusive("\r\n");
        lines.filter(|it| !it.starts_with("a=group")).collect()
    };
    connects(same, without);
}

#[test]
fn a_hash_is_known_whatever_its_case() {
    let upper = |it: String| it.replace("a=fingerprint:sha-256", "a=fingerprint:SHA-256");
    connects(upper, same);
    connects(same, upper);
    let twice = |it: String| {
        it.replace(
            "a=fingerprint:sha-256",
            "a=fingerprint:sha-512 00\r\na=fingerprint:Sha-256",
        )
    };
    connects(twice, twice);
    let unknown = |it: String| it.replace("a=fingerprint:sha-256", "a=fingerprint:sha-512");
    let refusals = [
        Call::begin(unknown, same).err(),
        Call::begin(same, unknown).err(),
    ];
    for refused in refusals {
        let refused = refused.unwrap().to_string();
        assert!(refused.contains("SHA-256"), "{refused}");
    }
}

#[test]
fn candidates_that_cannot_be_used_do_not_count() {
    let others = "a=candidate:1 1 udp 2122 host.example.com 5000 typ host\r\n\
                  a=candidate:2 1 ssltcp 2122 198.51.100.1 443 typ host\r\n\
                  a=candidate:3 1 tcp 2122 198.51.100.2 9 typ host tcptype active\r\n\
                  a=candidate:4 1 udp 2122 198.51.100.3 5000 typ unheard-of\r\n\
                  a=candidate:5 1 udp 2122 0f1e2d3c.local 5000 typ host\r\n\
                  a=candidate:6 1 udp 2122 198.51.100.4 5000 typ srflx raddr 10.0.0.1\r\n\
                  a=candidate:7\r\na=candidate\r\n";
    let with = |it: String| it.replacen("a=candidate", &format!("{others}a=candidate"), 1);
    connects(with, same);
    connects(same, with);
}

/// To how many addresses, and how many datagrams, a side sends in the time after its answer.
fn flood(offer: &str, time: Duration) -> (usize, usize) {
    let (mut now, mut sent) = (Instant::now(), HashMap::new());
    let until = now + time;
    let mut state = side(HERE, now);
    let mut count = |to: SocketAddr| *sent.entry(to).or_insert(0) += 1;
    state.answer(offer, now, |_, to, _| count(to)).unwrap();
    while now < until {
        now = state.deadline.max(now + Duration::from_millis(1));
        state.tick(now, |_, to, _| count(to));
    }
    (sent.len(), sent.values().sum())
}

#[test]
fn an_offer_of_many_addresses_sends_few_packets_to_few() {
    let candidate = |n: usize| {
        let (high, low) = (n / 250, n % 250 + 1);
        format!("a=candidate:{n} 1 udp {n} 203.0.{high}.{low} 5000 typ host\r\n")
    };
    let lines: String = (0..1_400).map(candidate).collect();
    let many = offer("", &[audio(&format!("a=mid:0\r\n{lines}"))]);
    let (addresses, datagrams) = flood(&many, Duration::from_secs(10));
    assert_eq!(addresses, 32);
    assert!(datagrams <= 2_100, "{datagrams} in 10 s");
    // A usual offer is checked as quickly as ever.
    let lines: String = (0..8).map(candidate).collect();
    let few = offer("", &[audio(&format!("a=mid:0\r\n{lines}"))]);
    let (addresses, datagrams) = flood(&few, Duration::from_secs(10));
    assert_eq!(addresses, 8);
    assert!((1_200..=1_610).contains(&datagrams), "{datagrams} in 10 s");
}

#[test]
fn of_several_audios_one_is_taken() {
    let session = "a=group:BUNDLE 0 1 2\r\n";
    let sections = [
        audio("a=mid:0\r\na=sendrecv\r\na=msid:s t0\r\na=ssrc:1 cname:x\r\n"),
        audio("a=mid:1\r\na=sendrecv\r\na=msid:s t1\r\na=ssrc:2 cname:x\r\n"),
        channel("a=mid:2\r\n"),
    ];
    let answered = answer(&offer(session, &sections)).unwrap();
    let expected = [("audio", true), ("audio", false), ("application", true)];
    assert_eq!(media(&answered), expected);
    assert!(answered.contains("a=group:BUNDLE 0 2\r\n"), "{answered}");
    // The first that is live.
    let [_, second, data] = sections;
    let sections = [audio("a=mid:0\r\na=inactive\r\n"), second, data];
    let answered = answer(&offer(session, &sections)).unwrap();
    let inactive = answered.split("m=audio").nth(1).unwrap();
    assert!(inactive.contains("a=inactive") && inactive.contains("a=candidate"));
    assert_eq!(answered.matches("a=sendrecv").count(), 2, "{answered}");
    assert!(answered.contains("a=group:BUNDLE 0 1 2\r\n"), "{answered}");
}

#[test]
fn audio_that_has_the_port_of_another_section_is_taken() {
    let video =
        video("a=mid:0\r\na=sendrecv\r\na=candidate:1 1 udp 9 198.51.100.1 5000 typ host\r\n");
    let audio = "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=bundle-only\r\na=mid:1\r\na=sendrecv\r\n\
                 a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";
    let offer = offer("a=group:BUNDLE 0 1\r\n", &[video, audio.to_owned()]);
    let answered = answer(&offer).unwrap();
    // The section that the audio has its address from is not refused.
    assert_eq!(media(&answered), [("video", true), ("audio", true)]);
    let (session, sections) = answered
        .split_once("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")
        .unwrap();
    let (video, audio) = sections.split_once("m=audio 9").unwrap();
    assert!(session.contains("a=group:BUNDLE 0 1\r\n"), "{session}");
    for said in [
        "a=inactive\r\n",
        "a=rtpmap:96 VP8/90000\r\n",
        "a=setup:active\r\n",
    ] {
        assert!(video.contains(said), "{said} {video}");
    }
    assert!(video.contains("a=candidate:") && !audio.contains("a=candidate:"));
    assert!(audio.contains("a=ice-ufrag:") && video.contains("a=ice-ufrag:"));
    // It is checked where the section is that the group is tagged by.
    assert_eq!(flood(&offer, Duration::from_secs(1)).0, 1);
}

#[test]
fn formats_that_need_no_mapping_are_passed_over() {
    let offered = audio("a=mid:0\r\na=fmtp:111 useinbandfec=1\r\na=ptime:20\r\n");
    let offered = offered.replace("SAVPF 111", "SAVPF 8 111 0 13 x 300");
    let answered = answer(&offer("", &[offered])).unwrap();
    assert!(answered.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
    let without = |it: String| it.replace("SAVPF 111", "SAVPF 8 111 9");
    connects(without, same);
    connects(same, without);
}

#[test]
fn sound_needs_no_named_stream() {
    let session = "a=group:BUNDLE 0 1\r\n";
    let sections = [
        audio("a=mid:0\r\na=sendrecv\r\na=msid:stream track\r\n"),
        video("a=mid:1\r\na=sendrecv\r\na=msid:stream other\r\n"),
    ];
    let answered = answer(&offer(session, &sections)).unwrap();
    assert_eq!(media(&answered), [("audio", true), ("video", false)]);
}

#[test]
fn every_section_of_the_offer_is_in_the_answer() {
    let session = "a=group:BUNDLE a b c d\r\n";
    let sections = [
        "m=text 9 RTP/AVP 98\r\na=mid:a\r\n".to_owned(),
        "m=application 9 UDP/BFCP *\r\na=mid:b\r\n".to_owned(),
        audio("a=mid:c\r\n"),
        "m=image 9 udptl t38\r\n".to_owned(),
        channel("a=mid:d\r\n"),
    ];
    let answered = answer(&offer(session, &sections)).unwrap();
    let expected = [
        ("text", false),
        ("application", false),
        ("audio", true),
        ("image", false),
        ("application", true),
    ];
    assert_eq!(media(&answered), expected);
    assert!(answered.contains("m=application 0 UDP/BFCP *\r\n"));
    assert!(answered.contains("m=image 0 udptl t38\r\n"));
    let names: Vec<_> = answered
        .lines()
        .filter(|it| it.starts_with("a=mid"))
        .collect();
    assert_eq!(names, ["a=mid:a", "a=mid:b", "a=mid:c", "a=mid:d"]);
}

#[test]
fn whoever_begins_the_handshake_is_told_so() {
    for (offered, answered) in [
        ("active", "passive"),
        ("passive", "active"),
        ("actpass", "active"),
    ] {
        let change = |it: String| it.replace("a=setup:actpass", &format!("a=setup:{offered}"));
        let offer = change(offer("", &[audio("a=mid:0\r\n")]));
        let answer = answer(&offer).unwrap();
        let expected = format!("a=setup:{answered}\r\n");
        assert!(answer.contains(&expected), "{offered}: {answer}");
        assert_eq!(answer.matches("a=setup:").count(), 1, "{answer}");
        // One that can reach us alone is passive, whatever else it is.
        let lite = offer.replacen("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n", 1);
        let lite = super::tests::answer(&lite).unwrap();
        let is_active = lite.contains("a=setup:active");
        assert_eq!(is_active, offered == "passive", "{offered}: {lite}");
    }
}

#[test]
fn sections_without_names_are_answered_in_their_places() {
    let answered = answer(&offer("", &[audio("a=sendrecv\r\n")])).unwrap();
    assert_eq!(media(&answered), [("audio", true)]);
    assert!(!answered.contains("a=mid"), "{answered}");
    // The names of an answer are those of the offer.
    let unnamed = |it: String| -> String {
        let lines = it.split_inclusive("\r\n");
        let rest = lines.filter(|it| !it.starts_with("a=mid") && !it.starts_with("a=group"));
        rest.collect()
    };
    connects(same, unnamed);
}

#[test]
fn what_cannot_be_met_is_refused_by_name() {
    let plain = audio("a=mid:0\r\n");
    let many = vec![plain.replace("a=mid:0\r\n", ""); 65];
    for (sections, why) in [
        (vec![], "no audio"),
        (vec![video("a=mid:0\r\n")], "no audio"),
        (vec![plain.replace("audio 9", "audio 0")], "port is 0"),
        (vec![audio("a=sendonly\r\n")], "sendonly"),
        (vec![audio("a=inactive\r\n")], "inactive"),
        (vec![plain.replace("opus", "opux")], "Opus"),
        (vec![plain.clone(), video("a=mid:0\r\n")], "same name"),
        (many, "more than 64"),
    ] {
        let refused = answer(&offer("", &sections)).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    let elsewhere = |it: String| {
        let at = it.rfind("a=ice-ufrag:").unwrap();
        format!("{}a=ice-ufrag:other{}", &it[..at], &it[at + 12..])
    };
    let refused = Call::begin(same, elsewhere).err().unwrap().to_string();
    assert!(refused.contains("BUNDLE"), "{refused}");
}

#[test]
fn what_we_take_does_not_depend_on_what_the_far_side_takes() {
    for said in [
        "",
        "a=max-message-size:65536\r\n",
        "a=max-message-size:0\r\n",
    ] {
        let sections = [audio("a=mid:0\r\n"), channel(&format!("a=mid:1\r\n{said}"))];
        let answered = answer(&offer("a=group:BUNDLE 0 1\r\n", &sections)).unwrap();
        assert!(answered.contains("a=max-message-size:262144"), "{answered}");
    }
}
