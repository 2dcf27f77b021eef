//! A call in which nobody speaks.

use super::*;

/// A STUN indication, which is not answered (RFC 8489, section 5).
const INDICATION: [u8; 20] = [
    0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

#[test]
fn an_idle_call_keeps_its_path_alive_however_often_something_comes() {
    for interval_ms in [300, 5_000] {
        let (mut call, _) = Call::begin(same, same).unwrap();
        assert!(call.runs());
        for _ in 0..600 {
            call.step();
        }
        let ([here, there], mut now) = ([HERE, THERE].map(|it| it.parse().unwrap()), call.now);
        let until = now + Duration::from_secs(20);
        let [state, _] = &mut call.sides;
        let (mut sent, mut ticks, mut comes_at) = (0, 0, now);
        while now < until {
            now += Duration::from_millis(5);
            if comes_at <= now {
                comes_at = now + Duration::from_millis(interval_ms);
                state.handle(&INDICATION, there, here, now, |_, _, _| sent += 1);
            }
            if state.deadline <= now {
                ticks += 1;
                state.tick(now, |_, _, _| sent += 1);
            }
        }
        assert!(sent >= 5, "{sent} datagrams in 20 s");
        assert!((15..=60).contains(&ticks), "{ticks} ticks in 20 s");
    }
}
