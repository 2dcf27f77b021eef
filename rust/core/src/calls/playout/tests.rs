use proptest::prelude::*;

use super::*;

fn at(ms: f64) -> Duration {
    Duration::from_secs_f64((10_000.0 + ms) / 1000.0)
}

/// A phone behind a line, in milliseconds: it plays what arrives, after its start buffer, and returns
/// marks when they are reached.
#[derive(Debug)]
struct Phone {
    out_ms: f64,
    back_ms: f64,
    start_ms: f64,
    /// What arrives when: sound of a length, or a mark.
    arriving: VecDeque<(f64, Sent)>,
    /// Playing: the position, and the time at which it was there.
    received_ms: f64,
    run: Option<(f64, f64)>,
    marks: VecDeque<(f64, u64)>,
    returning: VecDeque<(f64, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Sent {
    Sound(f64),
    Mark(u64),
}

impl Phone {
    fn new(out_ms: f64, back_ms: f64, start_ms: f64) -> Self {
        Self {
            out_ms,
            back_ms,
            start_ms,
            arriving: VecDeque::new(),
            received_ms: 0.0,
            run: None,
            marks: VecDeque::new(),
            returning: VecDeque::new(),
        }
    }

    fn send(&mut self, now: f64, sent: Sent, jitter_ms: f64) {
        let last = self.arriving.back().map_or(0.0, |(at, _)| *at);
        let at = (now + self.out_ms + jitter_ms).max(last);
        self.arriving.push_back((at, sent));
    }

    fn position(&self, now: f64) -> f64 {
        match self.run {
            Some((position, since)) => (position + (now - since).max(0.0)).min(self.received_ms),
            None => self.received_ms,
        }
    }

    /// Moves on to `now`, a millisecond at a time is fine enough.
    fn advance(&mut self, now: f64) {
        while let Some((at, sent)) = self.arriving.front().copied().filter(|(at, _)| *at <= now) {
            self.arriving.pop_front();
            match sent {
                Sent::Sound(length_ms) => {
                    if self.position(at) >= self.received_ms {
                        self.run = Some((self.received_ms, at + self.start_ms));
                    }
                    self.received_ms += length_ms;
                }
                Sent::Mark(id) => self.marks.push_back((self.received_ms, id)),
            }
        }
        while let Some((position, id)) = self.marks.front().copied()
            && position <= self.position(now) + 1e-6
        {
            self.marks.pop_front();
            self.returning.push_back((now + self.back_ms, id));
        }
    }

    fn returned(&mut self, now: f64) -> Option<u64> {
        let (at, id) = self.returning.front().copied()?;
        (at <= now).then(|| {
            self.returning.pop_front();
            id
        })
    }
}

/// Sends sound as the leg does: probe, pieces up to marks, marks.
fn send(
    tracker: &mut PlayoutTracker,
    phone: &mut Phone,
    now: f64,
    mut length_ms: f64,
    jitter_ms: f64,
) {
    tracker.queued(length_ms);
    if let Some(id) = tracker.probe(at(now)) {
        phone.send(now, Sent::Mark(id), jitter_ms);
    }
    while length_ms > 0.0 {
        let piece_ms = length_ms.min(tracker.until_mark_ms(at(now)).max(20.0));
        tracker.sent(piece_ms, at(now));
        phone.send(now, Sent::Sound(piece_ms), jitter_ms);
        length_ms -= piece_ms;
        if let Some(id) = tracker.mark(at(now)) {
            phone.send(now, Sent::Mark(id), jitter_ms);
        }
    }
}

/// Runs until `until`, in steps of a millisecond.
fn run(tracker: &mut PlayoutTracker, phone: &mut Phone, now: &mut f64, until: f64) {
    while *now < until {
        *now += 1.0;
        phone.advance(*now);
        while let Some(id) = phone.returned(*now) {
            tracker.mark_returned(id, at(*now));
        }
    }
}

#[test]
fn without_delay_the_position_is_the_clocks() {
    let (mut tracker, mut phone) = (PlayoutTracker::new(64), Phone::new(0.0, 0.0, 0.0));
    let mut now = 0.0;
    send(&mut tracker, &mut phone, now, 2_000.0, 0.0);
    for at_ms in [50.0, 730.0, 1_500.0, 1_999.0] {
        run(&mut tracker, &mut phone, &mut now, at_ms);
        let heard = tracker.heard_ms(at(now));
        assert!((heard - at_ms).abs() <= 1.5, "{heard} at {at_ms}");
    }
    run(&mut tracker, &mut phone, &mut now, 2_010.0);
    assert!(tracker.left_ms(at(now)) == 0.0 && tracker.is_confirmed(at(now)));
}

#[test]
fn without_marks_the_position_is_the_clocks() {
    let mut tracker = PlayoutTracker::new(0);
    tracker.queued(1_000.0);
    assert_eq!(tracker.probe(at(0.0)), None);
    tracker.sent(600.0, at(0.0));
    assert_eq!(tracker.mark(at(0.0)), None);
    assert!((tracker.heard_ms(at(250.0)) - 250.0).abs() < 0.1);
    assert!((tracker.heard_ms(at(900.0)) - 600.0).abs() < 0.1);
    assert!((tracker.left_ms(at(900.0)) - 400.0).abs() < 0.1);
    tracker.sent(400.0, at(900.0));
    assert!((tracker.heard_ms(at(1_000.0)) - 700.0).abs() < 0.1);
}

#[test]
fn a_mark_of_cleared_sound_changes_nothing() {
    let (mut tracker, mut phone) = (PlayoutTracker::new(64), Phone::new(0.0, 0.0, 0.0));
    send(&mut tracker, &mut phone, 0.0, 1_000.0, 0.0);
    let ids: Vec<u64> = tracker.marks.iter().map(|mark| mark.id).collect();
    assert!(tracker.clear(at(200.0)));
    assert!(tracker.left_ms(at(200.0)) == 0.0);
    send(&mut tracker, &mut phone, 300.0, 1_000.0, 0.0);
    let before = tracker.heard_ms(at(350.0));
    for id in ids {
        assert!(!tracker.mark_returned(id, at(350.0)));
    }
    assert!((tracker.heard_ms(at(350.0)) - before).abs() < 1e-9);
    assert!((before - 1_050.0).abs() < 1.0);
}

#[test]
fn a_late_mark_does_not_move_the_position_back_nor_forward() {
    let (mut tracker, mut phone) = (PlayoutTracker::new(64), Phone::new(0.0, 0.0, 0.0));
    let mut now = 0.0;
    send(&mut tracker, &mut phone, now, 5_000.0, 0.0);
    run(&mut tracker, &mut phone, &mut now, 1_900.0);
    // The mark at two seconds comes back half a second late.
    phone.back_ms = 500.0;
    run(&mut tracker, &mut phone, &mut now, 2_250.0);
    phone.back_ms = 0.0;
    run(&mut tracker, &mut phone, &mut now, 2_600.0);
    let heard = tracker.heard_ms(at(now));
    assert!((heard - 2_600.0).abs() < 2.0, "{heard}");
}

#[test]
fn a_player_that_stalls_is_not_run_away_from() {
    let (mut tracker, mut phone) = (PlayoutTracker::new(64), Phone::new(0.0, 0.0, 0.0));
    let mut now = 0.0;
    send(&mut tracker, &mut phone, now, 10_000.0, 0.0);
    run(&mut tracker, &mut phone, &mut now, 900.0);
    // No mark comes back any more.
    let heard = tracker.heard_ms(at(4_000.0));
    assert!(heard <= 1_000.0 + MARK_GRACE_MS + 1.0, "{heard}");
    // Until they count as lost.
    assert!(tracker.heard_ms(at(9_000.0)) > 8_000.0);
}

#[test]
fn a_pause_stops_the_clock() {
    let mut tracker = PlayoutTracker::new(0);
    tracker.queued(1_000.0);
    tracker.sent(1_000.0, at(0.0));
    tracker.pause(at(300.0));
    assert!((tracker.heard_ms(at(5_000.0)) - 300.0).abs() < 0.1);
    tracker.resume(at(5_000.0));
    assert!((tracker.heard_ms(at(5_100.0)) - 400.0).abs() < 0.1);
}

#[test]
fn a_restart_costs_what_was_sent_and_not_what_waits() {
    let mut tracker = PlayoutTracker::new(64);
    tracker.queued(1_000.0);
    tracker.sent(600.0, at(0.0));
    tracker.restart();
    assert!((tracker.left_ms(at(100.0)) - 400.0).abs() < 0.1);
    tracker.sent(400.0, at(100.0));
    assert!((tracker.left_ms(at(300.0)) - 200.0).abs() < 0.1);
}

#[test]
fn what_a_mark_at_its_end_has_confirmed_plays_no_more() {
    let (mut tracker, mut phone) = (PlayoutTracker::new(64), Phone::new(0.0, 0.0, 0.0));
    let mut now = 0.0;
    send(&mut tracker, &mut phone, now, 100.0, 0.0);
    run(&mut tracker, &mut phone, &mut now, 102.0);
    assert!(!tracker.may_play(at(now)));
}

proptest! {
    /// Over any line, what is cut is near what the phone had played when the clear reached it: once the
    /// line is known, which takes the first answer. Never more than was sent, never backward.
    #[test]
    fn the_position_is_near_the_phones(
        out_ms in 0.0..120.0_f64,
        start_ms in 0.0..100.0_f64,
        chunk_ms in 20.0..4_000.0_f64,
        jitters in prop::collection::vec(0.0..10.0_f64, 16),
        answers in prop::collection::vec(200.0..4_500.0_f64, 1..5),
    ) {
        let mut tracker = PlayoutTracker::new(64);
        let mut phone = Phone::new(out_ms, out_ms, start_ms);
        let mut now = 0.0;
        let mut jitter = jitters.iter().cycle();
        for cut_at in answers {
            let begin = now;
            let base = tracker.heard_ms(at(now));
            let mut sent = 0.0;
            let mut last = base;
            while sent < 5_000.0 {
                let piece = chunk_ms.min(5_000.0 - sent);
                send(&mut tracker, &mut phone, now, piece, *jitter.next().unwrap());
                sent += piece;
                let until = begin + sent / 4.0;
                run(&mut tracker, &mut phone, &mut now, until.min(begin + cut_at));
                let heard = tracker.heard_ms(at(now));
                // The first mark may correct the position by what was not known of the line.
                let unknown = 2.0 * out_ms + start_ms + 10.0;
                prop_assert!(heard >= last - unknown && heard <= base + sent + 1e-6);
                last = heard;
                if now >= begin + cut_at {
                    break;
                }
            }
            run(&mut tracker, &mut phone, &mut now, begin + cut_at);
            let heard = tracker.heard_ms(at(now)) - base;
            // The clear arrives.
            let arrives = now + out_ms;
            let mut then = now;
            while then < arrives {
                then += 1.0;
                phone.advance(then);
            }
            let played = phone.position(arrives) - base;
            let off = (heard - played).abs();
            // Before the first marks are back, nothing is known of the line.
            let is_known = tracker.round_trip_ms.is_some() && tracker.start_delay_ms.is_some();
            let unknown = if is_known { 0.0 } else { 2.0 * out_ms + start_ms };
            prop_assert!(off <= 45.0 + unknown, "off by {off}: {heard} for {played}");
            // Both begin anew where nothing plays.
            tracker.clear(at(now));
            now = arrives + 500.0;
            phone.arriving.clear();
            phone.marks.clear();
            phone.returning.clear();
            phone.received_ms = base + sent;
            phone.run = None;
            run(&mut tracker, &mut phone, &mut now, arrives + 1_000.0);
        }
    }
}

#[test]
fn a_report_of_what_is_unplayed_places_the_position_and_holds_it_where_the_player_stands() {
    let mut playout = PlayoutTracker::new(64);
    playout.queued(5_000.0);
    playout.sent(5_000.0, at(0.0));
    // The player starts late, then stands still at 800 ms.
    for (now, played) in [(40.0, 0.0), (80.0, 0.0), (180.0, 100.0), (880.0, 800.0)] {
        assert!(!playout.unplayed_is(5_000.0 - played, at(now)));
        let heard = playout.heard_ms(at(now));
        assert!((heard - played).abs() < 50.0, "{heard} at {now}");
    }
    for now in [920.0, 960.0, 1_000.0, 1_040.0] {
        playout.unplayed_is(4_200.0, at(now));
    }
    let heard = playout.heard_ms(at(1_040.0));
    assert!((800.0..900.0).contains(&heard), "{heard}");
    assert!(playout.unplayed_is(0.0, at(9_000.0)));
    assert!(
        !playout.unplayed_is(0.0, at(9_020.0)),
        "it was played before"
    );
}

#[test]
fn what_is_reported_while_paused_is_where_it_stands() {
    let mut playout = PlayoutTracker::new(64);
    playout.queued(5_000.0);
    playout.sent(5_000.0, at(0.0));
    playout.pause(at(10.0));
    playout.unplayed_is(4_900.0, at(120.0));
    let heard = playout.heard_ms(at(2_000.0));
    assert!((heard - 100.0).abs() < 1.0, "{heard}");
    playout.resume(at(2_000.0));
    let heard = playout.heard_ms(at(2_100.0));
    assert!((heard - 200.0).abs() < 1.0, "{heard}");
}
