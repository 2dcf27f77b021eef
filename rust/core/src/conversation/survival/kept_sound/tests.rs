use super::*;

/// 8 bytes a millisecond.
fn sound(most_ms: u64) -> KeptSound {
    let mut kept = KeptSound::new(most_ms);
    let mulaw = AudioFormat::from_wire("audio/pcmu", None).expect("a format");
    kept.configured(mulaw, false, true);
    kept
}

fn piece(ms: usize, value: u8) -> Vec<u8> {
    vec![value; ms * 8]
}

fn heard(kept: &mut KeptSound) -> Vec<Unheard> {
    kept.suspend();
    kept.resume().0
}

#[test]
fn while_nobody_speaks_the_last_second_is_kept() {
    let mut kept = sound(15_000);
    for value in 0..50 {
        kept.append(&piece(100, value));
    }
    assert_eq!(kept.len(), 8000);
    let expected: Vec<u8> = (40..50).flat_map(|value| piece(100, value)).collect();
    assert_eq!(heard(&mut kept), [Unheard::Sound(expected)]);
}

#[test]
fn speech_is_kept_from_where_the_server_heard_it_begin() {
    let mut kept = sound(15_000);
    for value in 0..30 {
        kept.append(&piece(100, value));
    }
    kept.speech_started(Some(2500));
    for value in 30..60 {
        kept.append(&piece(100, value));
    }
    let expected: Vec<u8> = (25..60).flat_map(|value| piece(100, value)).collect();
    assert_eq!(heard(&mut kept), [Unheard::Sound(expected.clone())]);
    // It is still speech on the new connection, which counts from its own beginning.
    kept.append(&piece(2000, 99));
    let both: Vec<u8> = expected.into_iter().chain(piece(2000, 99)).collect();
    assert_eq!(heard(&mut kept), [Unheard::Sound(both)]);
}

#[test]
fn what_an_item_holds_is_sent_no_more_and_kept_until_its_transcript() {
    let mut kept = sound(15_000);
    kept.append(&piece(500, 1));
    kept.speech_started(Some(100));
    kept.append(&piece(500, 2));
    kept.speech_stopped(Some(900));
    kept.committed(Some("item"));
    assert_eq!(kept.of_item("item").map(|it| it.len()), Some(800 * 8));
    assert_eq!(heard(&mut kept), [Unheard::Sound(piece(100, 2))]);
    kept.forget("item");
    assert_eq!(kept.of_item("item"), None);
}

#[test]
fn a_turn_that_ended_unseen_is_to_end_again() {
    let mut kept = sound(15_000);
    kept.append(&piece(500, 1));
    kept.speech_started(Some(0));
    kept.speech_stopped(Some(400));
    assert!(kept.is_turn_over());
    let sound = [piece(500, 1), piece(900, 0xff)].concat();
    let expected = [Unheard::Sound(sound)];
    assert_eq!(heard(&mut kept), expected);
    // Until the new server has it in an item.
    assert_eq!(heard(&mut kept), expected);
    kept.speech_started(Some(0));
    kept.speech_stopped(Some(1400));
    kept.committed(Some("new"));
    assert_eq!(heard(&mut kept), []);
}

#[test]
fn without_turn_detection_all_since_the_last_commit_is_kept() {
    let mut kept = sound(15_000);
    kept.configured(kept.format, true, false);
    kept.append(&piece(3000, 1));
    kept.commit();
    kept.append(&piece(2000, 2));
    let expected = [
        Unheard::Sound(piece(3000, 1)),
        Unheard::Commit,
        Unheard::Sound(piece(2000, 2)),
    ];
    assert_eq!(heard(&mut kept), expected);
    kept.committed(Some("item"));
    assert_eq!(kept.of_item("item").map(|it| it.len()), Some(3000 * 8));
    kept.answered();
    assert_eq!(kept.of_item("item"), None, "no transcript will come");
    assert_eq!(heard(&mut kept), [Unheard::Sound(piece(2000, 2))]);
}

#[test]
fn what_is_kept_is_bounded_and_what_was_lost_is_known() {
    let mut kept = sound(2000);
    kept.speech_started(Some(0));
    kept.suspend();
    for value in 0..50 {
        kept.append(&piece(100, value));
    }
    assert_eq!(kept.len(), 16_000);
    let (unheard, lost_ms) = kept.resume();
    let expected: Vec<u8> = (30..50).flat_map(|value| piece(100, value)).collect();
    assert_eq!(unheard, [Unheard::Sound(expected)]);
    assert_eq!(lost_ms, 3000);
}

#[test]
fn items_without_a_transcript_are_taken_back_and_committed_again() {
    let mut kept = sound(15_000);
    kept.configured(kept.format, true, true);
    for (n, value) in [1, 2].into_iter().enumerate() {
        kept.append(&piece(500, value));
        kept.commit();
        kept.committed(Some(&format!("item{n}")));
    }
    kept.append(&piece(300, 3));
    kept.commit();
    kept.append(&piece(200, 4));
    kept.forget("item0");
    kept.suspend();
    kept.take_back();
    let expected = [
        Unheard::Sound(piece(500, 2)),
        Unheard::Commit,
        Unheard::Sound(piece(300, 3)),
        Unheard::Commit,
        Unheard::Sound(piece(200, 4)),
    ];
    assert_eq!(kept.resume(), (expected.into(), 0));
    // Until the new server has it in items.
    kept.committed(Some("new"));
    kept.suspend();
    kept.take_back();
    assert_eq!(kept.resume().0[0], Unheard::Sound(piece(500, 2)));
}

#[test]
fn items_that_the_server_detected_are_taken_back_with_a_pause_after_each() {
    let mut kept = sound(15_000);
    kept.append(&piece(500, 1));
    kept.speech_started(Some(0));
    kept.speech_stopped(Some(500));
    kept.committed(Some("item"));
    kept.append(&piece(100, 2));
    kept.suspend();
    kept.take_back();
    let all = [piece(500, 1), piece(1000, 0xff), piece(100, 2)].concat();
    assert_eq!(kept.resume().0, [Unheard::Sound(all.clone())]);
    // It is kept although the new server has not told of speech yet.
    kept.append(&piece(2000, 3));
    let all = [all, piece(2000, 3)].concat();
    assert_eq!(heard(&mut kept), [Unheard::Sound(all)]);
}
