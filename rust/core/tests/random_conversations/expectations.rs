//! What the client knows and so must do: the checks' own books of responses and requests.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::persona::Persona;
use crate::player::{Cut, Player};
use crate::rules::{Check, Rule, broken, require};
use crate::wire::Fact;

/// A `response.create` that was sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// How many requests without a payload it stands for; 0: it has a payload.
    pub count: usize,
    /// An interruption came while it was in flight.
    pub unwanted: bool,
    /// Another response was first of it before: if one is again, that has seen all that it is about.
    again: bool,
}

/// A request that waits. Those without a payload coalesce, but not across one with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Plain { count: usize, again: bool },
    Payload,
}

/// Why the answer to a request that is in flight is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doom {
    /// The user interrupts, or a guardrail does.
    Interrupted,
    /// The user speaks. The client may let that answer be.
    SpokenOver,
}

/// What an interruption must do.
#[derive(Debug, Default)]
pub struct Interruption {
    pub cuts: Vec<Cut>,
    /// The response to cancel.
    pub cancel: Option<u32>,
    /// Whether the cancellation may be left out.
    pub optional: bool,
}

/// Of a wish for a response: when it was uttered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// When that item has entered the server's conversation.
    Item(u32),
    /// When that call's output has.
    Output(u32),
    /// At that time of the server's.
    Since(u64),
}

#[derive(Debug)]
pub struct Expectations {
    pub player: Player,
    /// The response of the conversation that is active, as the client knows.
    pub active: Option<u32>,
    /// Responses that have begun: their agent, whether out of band.
    pub begun: HashMap<u32, (u64, bool)>,
    pub ended: HashSet<u32>,
    pub cancelled: HashSet<u32>,
    pub silenced: HashSet<u32>,
    /// Responses of which text came that is not spoken.
    written: HashSet<u32>,
    /// The response, item and index of parts of which words came before a sound, or sound that is dropped.
    unvoiced: Vec<(u32, u32, usize)>,
    pub requests: HashMap<String, Request>,
    /// The request for the conversation that the server has not answered, as far as the client
    /// can tell.
    pub in_flight: Option<String>,
    /// Requests that no `response.create` stands for yet.
    waiting: VecDeque<Waiting>,
    pub wishes: Vec<Wish>,
    /// Requests with a payload, by their number.
    pub payloads: HashSet<u32>,
    /// An interruption came while a request was in flight.
    pub doomed: Option<Doom>,
    /// Calls of these responses were answered, and ask for a response when their own has ended and none
    /// of its calls is open.
    deferred: Vec<u32>,
    /// Responses that a guardrail has tripped on.
    pub tripped: HashSet<u32>,
    /// An error has said why a response does not come.
    pub excused: bool,
    server_interrupts: bool,
}

impl Expectations {
    pub fn new(persona: &Persona) -> Self {
        Self {
            player: Player::new(persona.reports),
            active: None,
            begun: HashMap::new(),
            ended: HashSet::new(),
            cancelled: HashSet::new(),
            silenced: HashSet::new(),
            written: HashSet::new(),
            unvoiced: Vec::new(),
            requests: HashMap::new(),
            in_flight: None,
            waiting: VecDeque::new(),
            wishes: Vec::new(),
            payloads: HashSet::new(),
            doomed: None,
            deferred: Vec::new(),
            tripped: HashSet::new(),
            excused: false,
            server_interrupts: false,
        }
    }

    pub fn is_apart(&self, response: u32) -> bool {
        self.begun.get(&response).is_some_and(|(_, apart)| *apart)
    }

    /// The response of the conversation that began last.
    pub fn newest(&self) -> Option<u32> {
        let of_conversation = self.begun.iter().filter(|(_, (_, apart))| !apart);
        of_conversation.map(|(id, _)| *id).max()
    }

    /// A frame arrives. Returns what it interrupts.
    pub fn arrives(
        &mut self,
        fact: &Fact,
        persona: &Persona,
        agent: u64,
        now: u64,
    ) -> Option<Interruption> {
        match fact {
            Fact::SessionUpdated => self.server_interrupts = persona.interrupts,
            Fact::Created {
                response,
                apart,
                request,
            } => {
                self.begun.insert(*response, (agent, *apart));
                if !*apart {
                    self.active = Some(*response);
                    let ours = self.in_flight.take() == *request;
                    if let Some(doom) = self.doomed.take() {
                        // The client cannot tell whose response it is.
                        let must = ours && doom == Doom::Interrupted;
                        self.silenced.extend(must.then_some(*response));
                        return Some(Interruption {
                            cancel: Some(*response),
                            optional: !must,
                            ..Interruption::default()
                        });
                    }
                }
            }
            Fact::Sound {
                response,
                item,
                part,
                ms,
            } if !self.silenced.contains(response) => {
                let apart = self.is_apart(*response);
                self.player.sound(*response, apart, *item, *part, *ms, now);
            }
            Fact::Sound {
                response,
                item,
                part,
                ..
            } => self.without_sound(*response, *item, *part),
            Fact::Words {
                response,
                item,
                part,
                spoken,
            } => {
                if *spoken {
                    self.without_sound(*response, *item, *part);
                } else {
                    self.written.insert(*response);
                }
            }
            Fact::SoundEnds { item, part, stated } => {
                self.player.sound_ends(*item, *part, *stated);
            }
            Fact::Done {
                response, apart, ..
            } => {
                self.ended.insert(*response);
                self.player.response_ends(*response);
                if !*apart {
                    self.active = None;
                }
            }
            Fact::Refused { event_id, busy } => {
                let mut unwanted = false;
                if self.in_flight.as_ref() == Some(event_id) {
                    self.in_flight = None;
                    unwanted = self.doomed.take() == Some(Doom::Interrupted);
                }
                let request = self.requests.get(event_id);
                unwanted |= request.is_some_and(|request| request.unwanted);
                let count = request.map_or(0, |request| request.count);
                let payload = request.is_some_and(|request| request.count == 0);
                let again = request.is_some_and(|request| request.again);
                if unwanted {
                    self.excuse();
                }
                if unwanted {
                    // It is not asked again.
                } else if *busy && payload {
                    self.waiting.push_front(Waiting::Payload);
                } else if *busy && self.active.is_none() && count > 1 {
                    // The client gave the response up that the server still has.
                    self.put_back(count - 1, false);
                } else if *busy && !again {
                    self.put_back(count, true);
                } else if !*busy {
                    self.put_back(count.saturating_sub(1), false);
                    self.excuse();
                }
            }
            Fact::SpeechStarted if persona.speech_interrupts => {
                if self.in_flight.is_some() && self.doomed.is_none() {
                    self.doomed = Some(Doom::SpokenOver);
                }
                return Some(self.interrupt(!self.server_interrupts, now));
            }
            _ => {}
        }
        None
    }

    fn without_sound(&mut self, response: u32, item: u32, part: usize) {
        if !self.is_apart(response) && !self.player.voiced.contains(&(item, part)) {
            self.unvoiced.push((response, item, part));
        }
    }

    /// The items and parts of stopped responses of which no sound was passed on: nothing was heard.
    pub fn unheard_words(&self) -> HashSet<(u32, usize)> {
        self.unvoiced
            .iter()
            .filter(|(response, ..)| self.silenced.contains(response))
            .filter(|(response, ..)| !self.written.contains(response))
            .map(|(_, item, part)| (*item, *part))
            .filter(|part| !self.player.voiced.contains(part))
            .collect()
    }

    /// A response is requested.
    pub fn request(&mut self, payload: bool) {
        match self.waiting.back_mut() {
            _ if payload => self.waiting.push_back(Waiting::Payload),
            Some(Waiting::Plain { count, again }) => {
                *count += 1;
                *again = false;
            }
            _ => self.waiting.push_back(Waiting::Plain {
                count: 1,
                again: false,
            }),
        }
    }

    /// A call of that response was answered, and asks for the next one.
    pub fn request_after(&mut self, response: u32) {
        if !self.deferred.contains(&response) {
            self.deferred.push(response);
        }
    }

    /// What was deferred is asked for now, unless its response is active or has calls that are `open`.
    pub fn settle_deferred(&mut self, open: &HashSet<u32>) {
        let waits = |response: &u32| self.active == Some(*response) || open.contains(response);
        let (waiting, ready): (Vec<u32>, Vec<u32>) = self.deferred.iter().partition(|it| waits(it));
        self.deferred = waiting;
        for _ in ready {
            self.request(false);
        }
    }

    /// The answer to a request that is in flight is not wanted.
    pub fn doom(&mut self) {
        if let Some(event_id) = &self.in_flight {
            self.doomed = Some(Doom::Interrupted);
            if let Some(request) = self.requests.get_mut(event_id) {
                request.unwanted = true;
            }
        }
    }

    /// Whether a request waits for the end of the active response.
    pub fn waits(&self) -> bool {
        self.active.is_some() && !self.waiting.is_empty()
    }

    /// So many requests of a `response.create` that was refused are open again.
    fn put_back(&mut self, more: usize, again: bool) {
        match self.waiting.front_mut() {
            _ if more == 0 => {}
            Some(Waiting::Plain { count, .. }) => *count += more,
            _ => self
                .waiting
                .push_front(Waiting::Plain { count: more, again }),
        }
    }

    /// The server does not answer, or does not end its response: nobody waits for that any more.
    pub fn give_up(&mut self) {
        if let Some(event_id) = self.in_flight.take() {
            let count = self.requests.get(&event_id).map_or(0, |it| it.count);
            self.put_back(count.saturating_sub(1), false);
        }
        self.active = None;
        self.excuse();
    }

    /// The connection is lost: the responses that have begun and not ended, the active one first.
    pub fn lose_responses(&mut self) -> Vec<u32> {
        let apart = self.begun.iter().filter(|(_, (_, apart))| *apart);
        let mut lost: Vec<u32> = apart
            .map(|(id, _)| *id)
            .filter(|id| !self.ended.contains(id))
            .collect();
        lost.sort_unstable();
        self.ended.extend(&lost);
        self.unvoiced.clear();
        lost.splice(0..0, self.active.take());
        lost
    }

    /// Why a response does not come has been said.
    pub fn excuse(&mut self) {
        self.excused = true;
        self.wishes.clear();
        self.payloads.clear();
    }

    /// The answer is interrupted. Whoever plays is silent from here on.
    pub fn interrupt(&mut self, cancel: bool, now: u64) -> Interruption {
        let cuts = self.player.unheard(now);
        self.silenced.extend(cuts.iter().map(|cut| cut.response));
        self.silenced.extend(self.active);
        let active = self.active.filter(|id| !self.cancelled.contains(id));
        Interruption {
            cuts,
            cancel: active.filter(|_| cancel),
            optional: false,
        }
    }

    /// A `response.create` is sent.
    pub fn create_is_sent(&mut self, event_id: &str, payload: bool, apart: bool) -> Check {
        if !apart {
            require(self.in_flight.is_none(), Rule::OneCreateAtATime, || {
                format!("{event_id} is sent, and {:?} is unanswered", self.in_flight)
            })?;
            require(self.active.is_none(), Rule::OneCreateAtATime, || {
                format!("{event_id} is sent into resp_{:?}", self.active)
            })?;
            self.in_flight = Some(event_id.to_owned());
        } else if payload {
            return Ok(());
        }
        let found = self
            .waiting
            .iter()
            .position(|waiting| matches!(waiting, Waiting::Payload) == payload);
        let waiting = found.and_then(|at| self.waiting.remove(at));
        let (count, again) = match waiting {
            Some(Waiting::Plain { count, again }) => (count, again),
            Some(Waiting::Payload) => (0, false),
            // One that was refused and is asked again.
            None if payload => (0, false),
            None if self.deferred.pop().is_some() => (1, false),
            None => {
                return broken(
                    Rule::CreateForARequest,
                    format!("nobody asked for {event_id}"),
                );
            }
        };
        let request = Request {
            count,
            unwanted: false,
            again,
        };
        self.requests.insert(event_id.to_owned(), request);
        Ok(())
    }
}
