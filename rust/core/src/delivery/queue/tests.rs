//! The drop policy, against a model that is a plain list, and by what must hold whatever comes.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Kept,
    Interruption { response: u8 },
    Audio { response: u8, bytes: usize },
    Raw { bytes: usize },
    Delta { part: u8, text: String },
    Version,
    Lagging(Dropped),
    TooSlow(usize),
}

/// A message, and the number of its push: merged deltas keep the number of the last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Numbered(usize, Sent);

impl Message for Numbered {
    fn policy(&self) -> DropPolicy {
        match self.1 {
            Sent::Kept | Sent::Lagging(_) | Sent::TooSlow(_) => DropPolicy::Keep,
            Sent::Interruption { .. } => DropPolicy::Interruption,
            Sent::Audio { .. } => DropPolicy::Audio,
            Sent::Raw { .. } => DropPolicy::Raw,
            Sent::Delta { .. } => DropPolicy::Delta,
            Sent::Version => DropPolicy::Version,
        }
    }

    fn size(&self) -> usize {
        match &self.1 {
            Sent::Audio { bytes, .. } | Sent::Raw { bytes } => *bytes,
            Sent::Delta { text, .. } => text.len(),
            _ => 0,
        }
    }

    fn observes_version(&self) -> bool {
        !matches!(
            self.1,
            Sent::Version | Sent::Audio { .. } | Sent::Delta { .. }
        )
    }

    fn purges(&self, audio: &Self) -> bool {
        matches!((&self.1, &audio.1),
            (Sent::Interruption { response }, Sent::Audio { response: of, .. }) if response == of)
    }

    fn continues(&self, earlier: &Self) -> bool {
        matches!((&self.1, &earlier.1),
            (Sent::Delta { part, .. }, Sent::Delta { part: of, .. }) if part == of)
    }

    fn prepend(&mut self, earlier: Self) {
        if let (Sent::Delta { text, .. }, Sent::Delta { text: before, .. }) =
            (&mut self.1, &earlier.1)
        {
            text.insert_str(0, before);
        }
    }

    fn lagging(dropped: Dropped) -> Self {
        Self(0, Sent::Lagging(dropped))
    }

    fn too_slow(waiting: usize) -> Self {
        Self(0, Sent::TooSlow(waiting))
    }
}

/// The policy once more, as simply as it can be said.
#[derive(Debug, Default)]
struct Model {
    list: Vec<Numbered>,
    dropped: Dropped,
    /// Kept messages that a queue that drops the oldest has lost, and the texts of lone deltas.
    gave_up: bool,
}

impl Model {
    fn is_over(&self, settings: &QueueSettings) -> bool {
        let bytes: usize = self.list.iter().map(Numbered::size).sum();
        self.list.len() > settings.max_messages || bytes > settings.max_bytes
    }

    fn push(&mut self, settings: &QueueSettings, message: Numbered) -> bool {
        if self.gave_up {
            return false;
        }
        self.list.retain(|waiting| !message.purges(waiting));
        self.list.push(message);
        while self.is_over(settings) && self.drop_one() {}
        if settings.past_bound == PastBound::DropOldest {
            while self.is_over(settings) {
                self.list.remove(0);
            }
        }
        let has_room = self.list.len() <= settings.max_messages;
        if !has_room && settings.past_bound == PastBound::GiveUp {
            self.gave_up = true;
            self.dropped = Dropped::default();
            self.list = vec![Numbered::too_slow(self.list.len())];
        }
        has_room
    }

    fn later_piece(&self, at: usize) -> Option<usize> {
        let near = (at + 1)..=(at + MERGE_DISTANCE).min(self.list.len() - 1);
        near.into_iter()
            .find(|later| self.list[*later].continues(&self.list[at]))
    }

    fn drop_one(&mut self) -> bool {
        let goes = |at: &usize| match &self.list[*at].1 {
            Sent::Audio { .. } | Sent::Raw { .. } => true,
            Sent::Delta { .. } => self.later_piece(*at).is_some(),
            Sent::Version => {
                let mut later = self.list[at + 1..].iter();
                later
                    .find(|m| m.observes_version() || m.1 == Sent::Version)
                    .is_some_and(|found| found.1 == Sent::Version)
            }
            _ => false,
        };
        let found = (0..self.list.len()).find(goes);
        let lone = |m: &Numbered| matches!(m.1, Sent::Delta { .. });
        let Some(at) = found.or_else(|| self.list.iter().position(lone)) else {
            return false;
        };
        let later = self.later_piece(at);
        let gone = self.list[at].clone();
        match (&gone.1, later) {
            (Sent::Audio { .. }, _) => self.dropped.audio += 1,
            (Sent::Raw { .. }, _) => self.dropped.raw += 1,
            (Sent::Delta { .. }, Some(later)) => self.list[later].prepend(gone),
            (Sent::Delta { .. }, None) => self.dropped.deltas += 1,
            _ => {}
        }
        self.list.remove(at);
        true
    }

    fn pop(&mut self) -> Option<Numbered> {
        if !self.dropped.is_empty() {
            return Some(Numbered::lagging(std::mem::take(&mut self.dropped)));
        }
        (!self.list.is_empty()).then(|| self.list.remove(0))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(Sent),
    Pop,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        2 => Just(Sent::Kept),
        1 => (0..3u8).prop_map(|response| Sent::Interruption { response }),
        4 => (0..3u8, 0..40usize).prop_map(|(response, bytes)| Sent::Audio { response, bytes }),
        2 => (1..40usize).prop_map(|bytes| Sent::Raw { bytes }),
        4 => (0..3u8, "[a-d]{1,12}").prop_map(|(part, text)| Sent::Delta { part, text }),
        2 => Just(Sent::Version),
    ]
}

fn steps(pops: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![5 => sent().prop_map(Step::Push), pops => Just(Step::Pop)];
    prop::collection::vec(step, 0..80)
}

fn settings(past_bound: PastBound) -> impl Strategy<Value = QueueSettings> {
    (1..12usize, 1..120usize).prop_map(move |(max_messages, max_bytes)| QueueSettings {
        max_messages,
        max_bytes,
        past_bound,
        tells: true,
    })
}

fn bounded_queue() -> impl Strategy<Value = QueueSettings> {
    prop_oneof![
        settings(PastBound::DropOldest),
        settings(PastBound::GiveUp),
        settings(PastBound::Report)
    ]
}

fn sum(told: &[Numbered], of: impl Fn(&Dropped) -> u64) -> u64 {
    told.iter()
        .filter_map(|message| match &message.1 {
            Sent::Lagging(dropped) => Some(of(dropped)),
            _ => None,
        })
        .sum()
}

proptest! {
    #[test]
    fn the_queue_does_what_the_model_does(
        settings in prop_oneof![settings(PastBound::DropOldest), settings(PastBound::GiveUp)],
        steps in steps(2),
    ) {
        let (mut queue, mut model) = (Queue::new(settings), Model::default());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(sent) => {
                    let message = Numbered(number, sent);
                    let has_room = queue.push(number as u64, message.clone());
                    prop_assert_eq!(has_room, model.push(&settings, message));
                }
                Step::Pop => prop_assert_eq!(queue.pop().map(|(_, m)| m), model.pop()),
            }
            prop_assert_eq!(queue.iter().collect::<Vec<_>>(), model.list.iter().collect::<Vec<_>>());
            prop_assert_eq!(queue.len(), model.list.len() + usize::from(!model.dropped.is_empty()));
        }
    }

    #[test]
    fn order_and_bounds_are_kept(settings in bounded_queue(), steps in steps(2)) {
        let mut queue = Queue::new(settings);
        let mut last_read = None;
        for (number, step) in steps.into_iter().enumerate() {
            let is_full_of_kept = match step {
                Step::Push(sent) => !queue.push(number as u64, Numbered(number, sent)),
                Step::Pop => {
                    match queue.pop() {
                        Some((sequence, Numbered(number, sent)))
                            if !matches!(sent, Sent::Lagging(_) | Sent::TooSlow(_)) =>
                        {
                            prop_assert_eq!(sequence, number as u64);
                            prop_assert!(last_read < Some(number));
                            last_read = Some(number);
                        }
                        _ => {}
                    }
                    continue;
                }
            };
            let bytes: usize = queue.iter().map(Numbered::size).sum();
            prop_assert_eq!(bytes, queue.bytes);
            prop_assert!(bytes <= settings.max_bytes);
            if settings.past_bound == PastBound::Report {
                // More waits than may only where the writer was told.
                prop_assert!(is_full_of_kept || queue.messages.len() <= settings.max_messages);
            } else {
                prop_assert!(queue.messages.len() <= settings.max_messages);
            }
        }
    }

    #[test]
    fn nothing_is_lost_that_must_not_be_and_counts_are_exact(
        settings in settings(PastBound::Report),
        sent in prop::collection::vec(sent(), 0..80),
    ) {
        let mut queue = Queue::new(settings);
        let mut interrupted = 0;
        for (number, sent) in sent.iter().enumerate() {
            let message = Numbered(number, sent.clone());
            interrupted += queue.iter().filter(|waiting| message.purges(waiting)).count() as u64;
            queue.push(number as u64, message);
        }
        let read: Vec<Numbered> = queue.take().into_iter().map(|(_, message)| message).collect();
        let count = |of: fn(&Sent) -> bool| {
            let left = read.iter().filter(|message| of(&message.1)).count() as u64;
            (sent.iter().filter(|sent| of(sent)).count() as u64, left)
        };
        let (came, left) = count(|sent| matches!(sent, Sent::Kept | Sent::Interruption { .. }));
        prop_assert_eq!(came, left);
        let (came, left) = count(|sent| matches!(sent, Sent::Audio { .. }));
        prop_assert_eq!(came, left + interrupted + sum(&read, |dropped| dropped.audio));
        let (came, left) = count(|sent| matches!(sent, Sent::Raw { .. }));
        prop_assert_eq!(came, left + sum(&read, |dropped| dropped.raw));
        // The last version is always there.
        let (came, left) = count(|sent| *sent == Sent::Version);
        prop_assert_eq!(came > 0, left > 0);
        let last = sent.iter().rposition(|sent| *sent == Sent::Version);
        prop_assert_eq!(
            last,
            read.iter().rev().find(|message| message.1 == Sent::Version).map(|message| message.0)
        );
    }

    #[test]
    fn an_interruption_purges_the_earlier_audio_of_its_response_and_nothing_else(
        before in prop::collection::vec(sent(), 0..30),
        after in prop::collection::vec(sent(), 0..30),
        response in 0..3u8,
    ) {
        let roomy = QueueSettings {
            max_messages: 1_000, max_bytes: 1 << 20, past_bound: PastBound::Report, tells: true,
        };
        let is_interruption = |sent: &Sent| matches!(sent, Sent::Interruption { .. });
        let sent = before.iter().filter(|sent| !is_interruption(sent)).cloned()
            .chain([Sent::Interruption { response }])
            .chain(after.iter().filter(|sent| !is_interruption(sent)).cloned());
        let mut queue = Queue::new(roomy);
        let mut expected = Vec::new();
        for (number, sent) in sent.enumerate() {
            if is_interruption(&sent) {
                expected.retain(|Numbered(_, sent)| {
                    !matches!(sent, Sent::Audio { response: of, .. } if *of == response)
                });
            }
            expected.push(Numbered(number, sent.clone()));
            queue.push(number as u64, Numbered(number, sent));
        }
        let read: Vec<Numbered> = queue.take().into_iter().map(|(_, message)| message).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn merged_deltas_are_joined_in_order(
        settings in settings(PastBound::Report),
        sent in prop::collection::vec(sent(), 0..80),
    ) {
        let mut queue = Queue::new(settings);
        for (number, sent) in sent.iter().enumerate() {
            queue.push(number as u64, Numbered(number, sent.clone()));
        }
        let read: Vec<Numbered> = queue.take().into_iter().map(|(_, message)| message).collect();
        let lost = sum(&read, |dropped| dropped.deltas);
        let text = |list: &[Sent], of: u8| -> String {
            let texts = list.iter().filter_map(|sent| match sent {
                Sent::Delta { part, text } if *part == of => Some(text.as_str()),
                _ => None,
            });
            texts.collect()
        };
        let read: Vec<Sent> = read.into_iter().map(|Numbered(_, sent)| sent).collect();
        for part in 0..3 {
            if lost == 0 {
                prop_assert_eq!(text(&read, part), text(&sent, part));
            }
        }
    }
}

fn queue(max_messages: usize, past_bound: PastBound, tells: bool) -> Queue<Numbered> {
    Queue::new(QueueSettings {
        max_messages,
        max_bytes: 100,
        past_bound,
        tells,
    })
}

fn fill(queue: &mut Queue<Numbered>, sent: &[Sent]) -> Vec<bool> {
    let numbered = sent.iter().cloned().enumerate();
    numbered
        .map(|(number, sent)| queue.push(number as u64 + 1, Numbered(number, sent)))
        .collect()
}

fn read(queue: &mut Queue<Numbered>) -> Vec<Sent> {
    let taken = queue.take().into_iter();
    taken.map(|(_, Numbered(_, sent))| sent).collect()
}

#[test]
fn a_queue_that_reports_keeps_all_and_says_once_that_the_reader_is_too_slow() {
    let mut queue = queue(2, PastBound::Report, true);
    let room = fill(
        &mut queue,
        &[Sent::Kept, Sent::Kept, Sent::Kept, Sent::Kept],
    );
    assert_eq!(room, [true, true, false, false]);
    let kept = Sent::Kept;
    assert_eq!(
        read(&mut queue),
        [&kept, &kept, &kept, &Sent::TooSlow(3), &kept].map(Clone::clone)
    );
    // It has been read: there is room, and it would say so again.
    assert_eq!(fill(&mut queue, &[Sent::Kept]), [true]);
}

#[test]
fn a_queue_that_gives_up_holds_nothing_but_the_reason() {
    let mut queue = queue(2, PastBound::GiveUp, true);
    let audio = Sent::Audio {
        response: 0,
        bytes: 10,
    };
    let room = fill(
        &mut queue,
        &[audio, Sent::Kept, Sent::Kept, Sent::Kept, Sent::Kept],
    );
    assert_eq!(room, [true, true, true, false, false]);
    assert_eq!(queue.pop(), Some((4, Numbered::too_slow(3))));
    assert_eq!(fill(&mut queue, &[Sent::Kept]), [false]);
    assert!(queue.is_empty());
}

#[test]
fn a_reader_that_is_not_told_gets_what_is_left() {
    let mut queue = queue(1, PastBound::Report, false);
    let raw = Sent::Raw { bytes: 1 };
    fill(&mut queue, &[raw.clone(), raw.clone()]);
    assert_eq!(queue.len(), 1);
    assert_eq!(read(&mut queue), [raw]);
}

#[test]
fn what_was_lost_before_is_told_with_what_was_lost_here() {
    let mut queue = queue(1, PastBound::Report, true);
    queue.add_dropped(Dropped {
        audio: 2,
        raw: 1,
        deltas: 0,
    });
    let raw = Sent::Raw { bytes: 1 };
    fill(&mut queue, &[raw.clone(), raw.clone()]);
    let told = Dropped {
        audio: 2,
        raw: 2,
        deltas: 0,
    };
    assert_eq!(read(&mut queue), [Sent::Lagging(told), raw]);
}

#[test]
fn only_the_last_version_is_kept_where_nothing_between_observes_one() {
    let mut queue = queue(100, PastBound::Report, true);
    let delta = Sent::Delta {
        part: 0,
        text: "a".to_owned(),
    };
    for (number, sent) in [
        Sent::Version,
        delta.clone(),
        Sent::Version,
        Sent::Kept,
        Sent::Version,
    ]
    .into_iter()
    .enumerate()
    {
        if sent == Sent::Version {
            queue.drop_superseded();
        }
        queue.push(0, Numbered(number, sent));
    }
    assert_eq!(
        read(&mut queue),
        [delta, Sent::Version, Sent::Kept, Sent::Version]
    );
}

#[test]
fn a_part_is_taken_from_the_front_and_the_rest_keeps_its_bound_and_its_purge() {
    let mut queue = Queue::new(QueueSettings {
        max_messages: 100,
        max_bytes: 100,
        past_bound: PastBound::Report,
        tells: true,
    });
    let audio = |number: usize| {
        Numbered(
            number,
            Sent::Audio {
                response: 1,
                bytes: 10,
            },
        )
    };
    for number in 0..10 {
        assert!(queue.push(number as u64, audio(number)));
    }
    let taken = queue.take_front(4);
    assert_eq!(
        taken.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    for number in 10..14 {
        assert!(queue.push(number as u64, audio(number)));
    }
    // All of them fit: what was taken counts no longer.
    assert_eq!(queue.len(), 10);
    queue.push(14, Numbered(14, Sent::Interruption { response: 1 }));
    assert_eq!(queue.take_front(4).len(), 1);
    assert!(queue.is_empty());
}
