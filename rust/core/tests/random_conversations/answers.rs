//! Answers of the model server: what one consists of, and its events one by one.

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::items::{Item, Kind, Part};
use crate::persona::CallShape;
use crate::rng::Rng;
use crate::server::Server;
use crate::wire::Fact;

/// The next thing that a response does.
#[derive(Debug, Clone)]
pub enum Act {
    Add(u32),
    Part {
        item: u32,
        sound: bool,
    },
    Words {
        item: u32,
        text: String,
    },
    Sound {
        item: u32,
        ms: u64,
    },
    SoundDone {
        item: u32,
    },
    PartDone {
        item: u32,
    },
    ItemDone {
        item: u32,
    },
    /// The whole of a function call.
    Call {
        item: u32,
    },
    Done {
        status: &'static str,
    },
}

/// A response that has not ended.
#[derive(Debug)]
pub struct Running {
    pub id: u32,
    /// Out of band: no part of the conversation.
    pub apart: bool,
    pub script: VecDeque<Act>,
    output: Vec<u32>,
    /// The item, and whether a part of it, that has begun and not ended.
    open: Option<(u32, bool)>,
    /// It never ends.
    pub stuck: bool,
    /// Why it was cancelled, if it was.
    reason: Option<&'static str>,
}

impl Server {
    /// Begins a response.
    pub fn begin(
        &mut self,
        apart: bool,
        request: Option<String>,
        metadata: Option<u32>,
        rng: &mut Rng,
    ) {
        let calm = self.calm;
        let id = self.new_id();
        self.any_apart |= apart;
        self.tick += 1;
        if !apart {
            self.last_answer = self.tick;
        }
        let script = self.plan(apart, calm, rng);
        self.running.push(Running {
            id,
            apart,
            script,
            output: Vec::new(),
            open: None,
            stuck: false,
            reason: None,
        });
        let conversation = if apart { "null" } else { "\"conv_1\"" };
        let metadata = metadata.map_or("null".to_owned(), |n| format!(r#"{{"n":"{n}"}}"#));
        self.say(
            format!(
                r#"{{"type":"response.created","response":{{"id":"resp_{id}","object":"realtime.response","status":"in_progress","conversation_id":{conversation},"output":[],"metadata":{metadata}}}}}"#
            ),
            Fact::Created {
                response: id,
                apart,
                request,
            },
        );
    }

    fn plan(&mut self, apart: bool, calm: bool, rng: &mut Rng) -> VecDeque<Act> {
        let mut script = VecDeque::new();
        let kind = if apart {
            [3, 8][rng.weighted(&[9, 1])]
        } else {
            let calls = if calm { 0 } else { 12 };
            rng.weighted(&[40, 8, 10, 10, calls, calls, 3, 4, 3])
        };
        match kind {
            0 => self.spoken(&mut script, 1, rng),
            1 => self.spoken(&mut script, 2, rng),
            2 => {
                self.spoken(&mut script, 1, rng);
                self.spoken(&mut script, 1, rng);
            }
            3 => self.written(&mut script, rng),
            4 | 5 => {
                if kind == 4 {
                    self.spoken(&mut script, 1, rng);
                }
                for _ in 0..=rng.below(2) {
                    self.call(&mut script);
                }
            }
            6 => {
                self.written(&mut script, rng);
                self.spoken(&mut script, 1, rng);
            }
            _ => {}
        }
        let status = match kind {
            7 => "failed",
            8 => "completed",
            _ if rng.chance(4) => "incomplete",
            _ => "completed",
        };
        script.push_back(Act::Done { status });
        script
    }

    fn spoken(&mut self, script: &mut VecDeque<Act>, parts: usize, rng: &mut Rng) {
        let item = self.new_id();
        script.push_back(Act::Add(item));
        for part in 0..parts {
            script.push_back(Act::Part { item, sound: true });
            let longest = if rng.chance(20) { 60 } else { 12 };
            for chunk in 0..=rng.below(5) {
                if rng.chance(70) {
                    let text = format!("{}{part}word{chunk}", if chunk == 0 { "" } else { " " });
                    script.push_back(Act::Words { item, text });
                }
                let ms = 3 * (1 + rng.below(longest)) as u64;
                script.push_back(Act::Sound { item, ms });
            }
            if self.persona.says_audio_done {
                script.push_back(Act::SoundDone { item });
            }
            script.push_back(Act::PartDone { item });
        }
        script.push_back(Act::ItemDone { item });
    }

    fn written(&mut self, script: &mut VecDeque<Act>, rng: &mut Rng) {
        let item = self.new_id();
        script.push_back(Act::Add(item));
        script.push_back(Act::Part { item, sound: false });
        for word in 0..rng.below(4) {
            let text = format!("text{word} ");
            script.push_back(Act::Words { item, text });
        }
        script.push_back(Act::PartDone { item });
        script.push_back(Act::ItemDone { item });
    }

    fn call(&mut self, script: &mut VecDeque<Act>) {
        let item = self.new_id();
        script.push_back(Act::Call { item });
    }

    /// Lets a response say up to `count` things.
    pub fn go(&mut self, at: usize, count: usize) {
        let Some(index) = (!self.running.is_empty()).then(|| at % self.running.len()) else {
            return;
        };
        for _ in 0..count {
            if self.running[index].stuck {
                return;
            }
            let Some(act) = self.running[index].script.pop_front() else {
                return;
            };
            if let Act::Done { status } = act {
                let response = self.running.remove(index);
                self.done(&response, status);
                return;
            }
            self.perform(index, act);
        }
    }

    /// Stops a response: a little of what it has ready is still sent, its open item is incomplete.
    pub fn cancel(&mut self, index: usize, reason: &'static str, rng: &mut Rng) {
        let says_audio_done = self.persona.says_audio_done;
        let response = &mut self.running[index];
        response.reason.get_or_insert(reason);
        let mut script = VecDeque::new();
        for act in response.script.iter().take(rng.below(4)) {
            if !matches!(act, Act::Sound { .. } | Act::Words { .. }) {
                break;
            }
            script.push_back(act.clone());
        }
        if let Some((item, part)) = response.open {
            if part {
                let sound = response
                    .script
                    .iter()
                    .any(|act| matches!(act, Act::SoundDone { item: of } if *of == item));
                if sound && says_audio_done {
                    script.push_back(Act::SoundDone { item });
                }
                script.push_back(Act::PartDone { item });
            }
            script.push_back(Act::ItemDone { item });
        }
        script.push_back(Act::Done {
            status: "cancelled",
        });
        response.script = script;
    }

    fn perform(&mut self, index: usize, act: Act) {
        let Running { id, apart, .. } = self.running[index];
        match act {
            Act::Add(item) => {
                self.items.insert(item, Item::new(Kind::Answer, apart));
                self.running[index].output.push(item);
                self.running[index].open = Some((item, false));
                self.announce(id, item, apart);
            }
            Act::Part { item, sound } => {
                self.running[index].open = Some((item, true));
                let known = self.items.get_mut(&item).expect("it was added");
                known.parts.push(Part::new(sound));
                let kind = if sound { "audio" } else { "text" };
                let rest = format!(r#""part":{{"type":"{kind}"}}"#);
                self.say_of(id, item, "content_part.added", &rest, Fact::Nothing);
            }
            Act::Words { item, text } => {
                let (part, known) = self.last_part(item);
                known.text.push_str(&text);
                let fact = Fact::Words {
                    response: id,
                    item,
                    part,
                    spoken: known.sound,
                };
                let kind = if known.sound {
                    "output_audio_transcript.delta"
                } else {
                    "output_text.delta"
                };
                self.say_of(id, item, kind, &format!(r#""delta":"{text}""#), fact);
            }
            Act::Sound { item, ms } => {
                let sound = self.persona.sound(ms);
                let (part, known) = self.last_part(item);
                known.ms += ms;
                let fact = Fact::Sound {
                    response: id,
                    item,
                    part,
                    ms,
                };
                let rest = format!(r#""delta":"{sound}""#);
                self.say_of(id, item, "output_audio.delta", &rest, fact);
            }
            Act::SoundDone { item } => {
                let (part, _) = self.last_part(item);
                let fact = Fact::SoundEnds {
                    item,
                    part,
                    stated: true,
                };
                self.say_of(id, item, "output_audio.done", "", fact);
            }
            Act::PartDone { item } => {
                self.running[index].open = Some((item, false));
                let (part, known) = self.last_part(item);
                let (kind, fact) = if known.sound {
                    let fact = Fact::SoundEnds {
                        item,
                        part,
                        stated: false,
                    };
                    ("audio", fact)
                } else {
                    ("text", Fact::Nothing)
                };
                let rest = format!(r#""part":{{"type":"{kind}"}}"#);
                self.say_of(id, item, "content_part.done", &rest, fact);
            }
            Act::ItemDone { item } => {
                self.running[index].open = None;
                let cancelled = matches!(
                    self.running[index].script.front(),
                    Some(Act::Done {
                        status: "cancelled"
                    })
                );
                let known = self.items.get_mut(&item).expect("it was added");
                known.status = if cancelled { "incomplete" } else { "completed" };
                self.conclude(id, item, apart);
            }
            Act::Call { item } => self.make_call(index, item),
            Act::Done { .. } => {}
        }
    }

    /// An event of the part of an item that is being generated. A terse server leaves an id out of
    /// deltas, where one response speaks.
    fn say_of(&mut self, response: u32, item: u32, kind: &str, rest: &str, fact: Fact) {
        let terse = self.persona.terse
            && !self.any_apart
            && self.running.len() == 1
            && kind.ends_with("audio.delta");
        let (part, _) = self.last_part(item);
        let mut text = format!(r#"{{"type":"response.{kind}","#);
        if !(terse && rest.len().is_multiple_of(3)) {
            let _ = write!(text, r#""response_id":"resp_{response}","#);
        }
        if !(terse && rest.len() % 3 == 1) {
            let _ = write!(text, r#""item_id":"item_{item}","#);
        }
        let comma = if rest.is_empty() { "" } else { "," };
        let _ = write!(
            text,
            r#""output_index":0,"content_index":{part}{comma}{rest}}}"#
        );
        self.say(text, fact);
    }

    fn say_item(&mut self, what: &str, response: u32, item: u32) {
        let json = self.item_json(item);
        self.say(
            format!(
                r#"{{"type":"response.output_item.{what}","response_id":"resp_{response}","output_index":0,"item":{json}}}"#
            ),
            Fact::Nothing,
        );
    }

    fn announce(&mut self, response: u32, item: u32, apart: bool) {
        self.say_item("added", response, item);
        if !apart {
            self.append(item);
        }
    }

    fn conclude(&mut self, response: u32, item: u32, apart: bool) {
        self.say_item("done", response, item);
        if !apart {
            self.item_done(item);
        }
    }

    /// A call comes as a whole: one that is cancelled half-way does not come.
    fn make_call(&mut self, index: usize, item: u32) {
        let (response, apart) = (self.running[index].id, self.running[index].apart);
        self.items.insert(item, Item::new(Kind::Call, apart));
        self.running[index].output.push(item);
        self.calls.insert(item, 0);
        let shape = self.persona.calls;
        if shape == CallShape::InDone {
            self.append_silently(item);
            return;
        }
        self.announce(response, item, apart);
        let arguments = Self::arguments(item);
        let quoted = serde_json::to_string(&arguments).expect("text is JSON");
        self.say(
            format!(
                r#"{{"type":"response.function_call_arguments.done","response_id":"resp_{response}","item_id":"item_{item}","output_index":0,"call_id":"call_{item}","name":"tool","arguments":{quoted}}}"#
            ),
            Fact::Nothing,
        );
        self.items.get_mut(&item).expect("it was added").status = "completed";
        if shape != CallShape::InArguments {
            self.conclude(response, item, apart);
        }
    }

    fn done(&mut self, response: &Running, status: &'static str) {
        for item in &response.output {
            if let Some(known) = self.items.get_mut(item)
                && known.kind == Kind::Call
            {
                known.status = "completed";
                if status != "completed" && self.persona.calls.comes_late() {
                    self.void.insert(*item);
                }
            }
        }
        let output: Vec<String> = response
            .output
            .iter()
            .map(|item| self.item_json(*item))
            .collect();
        let text = response.output.iter().rev().find_map(|item| {
            let known = &self.items[item];
            let last = known.parts.last().filter(|_| known.kind == Kind::Answer)?;
            last.cut.is_none().then(|| last.text.clone())
        });
        let (id, output) = (response.id, output.join(","));
        let details = match (status, response.reason) {
            ("failed", _) => {
                r#"{"type":"failed","error":{"type":"server_error","code":"e","message":"m"}}"#
                    .to_owned()
            }
            ("cancelled", Some(reason)) if self.persona.states_reasons => {
                format!(r#"{{"type":"cancelled","reason":"{reason}"}}"#)
            }
            _ => "null".to_owned(),
        };
        let conversation = if response.apart { "null" } else { "\"conv_1\"" };
        self.say(
            format!(
                r#"{{"type":"response.done","response":{{"id":"resp_{id}","object":"realtime.response","status":"{status}","status_details":{details},"conversation_id":{conversation},"output":[{output}]}}}}"#
            ),
            Fact::Done {
                response: id,
                apart: response.apart,
                text: text.unwrap_or_default(),
            },
        );
    }
}
