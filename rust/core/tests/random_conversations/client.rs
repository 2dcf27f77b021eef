//! What the session layer and its user do, at random.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use stapes_core::conversation::{AgentSwitch, ClientEvent, GuardSource, Rejected, WrittenItem};

use crate::expectations::{Interruption, Wish};
use crate::rng::Rng;
use crate::rules::{Check, Rule, Violation, require};
use crate::steps::Kind;
use crate::wire::number;
use crate::world::World;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub fn act(world: &mut World, kind: Kind, rng: &mut Rng) -> Check {
    match kind {
        Kind::Say => world.say(rng.chance(70)),
        Kind::SendAudio => world.send_audio(rng.chance(60)),
        Kind::Interrupt => world.interrupt(),
        Kind::Request => world.request(None),
        Kind::RequestWithPayload => {
            let raw = rng.chance(30);
            world.request(Some((rng.chance(60), raw)))
        }
        Kind::RawCancel => world.raw_cancel(rng.chance(50)),
        Kind::Answer => {
            let at = rng.below(8);
            world.answer(at, rng.chance(85))
        }
        Kind::AskApproval => world.ask(rng.below(8)),
        Kind::Decide => world.decide(rng.below(8)),
        Kind::HandOff => world.hand_off(rng.below(8)),
        Kind::Switch => world.switch(),
        Kind::Trip => world.trip(rng),
        Kind::Rewrite => world.rewrite(rng),
        Kind::Report => world.report(rng),
        _ => Ok(()),
    }
}

impl World {
    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn say(&mut self, respond: bool) -> Check {
        let id = self.new_id();
        self.note(|| format!("client: send_message, item_{id}, respond: {respond}"));
        let message = object(json!({"type": "conversation.item.create", "item":
            {"id": format!("item_{id}"), "type": "message", "role": "user", "content":
                [{"type": "input_text", "text": "hello"}]}}));
        let now = self.time();
        self.accepted(respond);
        let sent = self.conversation.send_message(&message, respond, now);
        self.honoured(sent.as_ref().err())?;
        if respond && self.connected() {
            self.expect.wishes.push(Wish::Item(id));
        }
        self.look().map(drop)
    }

    /// A request without a payload is about to be made.
    fn accepted(&mut self, respond: bool) {
        if respond && self.connected() {
            self.expect.request(false);
        }
    }

    /// A command succeeds on a connection, and fails without one.
    fn honoured(&self, error: Option<&Rejected>) -> Check {
        let right = error == (!self.connected()).then_some(&Rejected::NotConnected);
        require(right, Rule::ActsAreHonoured, || format!("{error:?}"))
    }

    fn send_audio(&mut self, commit: bool) -> Check {
        self.note(|| format!("client: send_audio, commit: {commit}"));
        let append = ClientEvent::audio_append(&[0; 96], String::new());
        let now = self.time();
        let sent = self.conversation.send_audio(Some(append), &[], commit, now);
        self.honoured(sent.as_ref().err())?;
        self.look().map(drop)
    }

    fn interrupt(&mut self) -> Check {
        self.note(|| "client: interrupt".to_owned());
        let interruption = if self.connected() {
            self.stop_answer()
        } else {
            Interruption::default()
        };
        let now = self.time();
        self.conversation.interrupt(now);
        self.look_at(None, &interruption).map(drop)
    }

    /// The client interrupts: a response that was requested and has not begun is meant, too.
    fn stop_answer(&mut self) -> Interruption {
        self.expect.doom();
        self.expect.interrupt(true, self.now)
    }

    /// Requests a response; with a payload out of band or not, as a raw event or not.
    fn request(&mut self, payload: Option<(bool, bool)>) -> Check {
        let now = self.time();
        let sent = if let Some((apart, raw)) = payload {
            let n = self.new_id();
            self.note(|| format!("client: request {n}, out of band: {apart}, raw: {raw}"));
            let mut response = json!({"metadata": {"n": n.to_string()}});
            if apart {
                response["conversation"] = "none".into();
            }
            if self.connected() {
                self.expect.payloads.insert(n);
                if !apart {
                    self.expect.request(true);
                }
            }
            if raw {
                let event = json!({"type": "response.create", "event_id": format!("raw_{n}"),
                                   "response": response});
                self.conversation.send_event(object(event), now)
            } else {
                self.conversation.request_response(Some(response), now)
            }
        } else {
            self.note(|| "client: request_response".to_owned());
            self.accepted(true);
            if self.connected() {
                let since = self.server.tick;
                self.expect.wishes.push(Wish::Since(since));
            }
            self.conversation.request_response(None, now)
        };
        self.honoured(sent.as_ref().err())?;
        self.look().map(drop)
    }

    fn raw_cancel(&mut self, named: bool) -> Check {
        let mut event = json!({"type": "response.cancel"});
        if named && let Some(active) = self.expect.active {
            event["response_id"] = format!("resp_{active}").into();
        }
        self.note(|| format!("client: send_event({event})"));
        let now = self.time();
        let sent = self.conversation.send_event(object(event), now);
        self.honoured(sent.as_ref().err())?;
        self.watch.raw_cancel = true;
        let looked = self.look();
        self.watch.raw_cancel = false;
        looked.map(drop)
    }

    fn call_at(&self, at: usize) -> Option<usize> {
        (!self.calls.is_empty()).then(|| at % self.calls.len())
    }

    /// Checks the answer to a call: it is sent if the call is live; if its connection was lost, the
    /// client is told so. Returns whether it was sent.
    fn settle_answer(
        &mut self,
        at: usize,
        result: &Result<bool, Rejected>,
        token: Option<u64>,
    ) -> Result<bool, Violation> {
        let (live, open) = (self.is_live(at), self.calls.remove(at));
        let batch = self.look()?;
        let id = number(&open.call.call_id).unwrap_or_default();
        let expected: &[u32] = if live { &[id] } else { &[] };
        require(batch.outputs == expected, Rule::CallIsAnswered, || {
            format!("{:?} for call_{id}", batch.outputs)
        })?;
        if !live && !open.closed {
            require(*result == Ok(false), Rule::LostResultIsTold, || {
                format!("{result:?} for call_{id}, whose connection was lost")
            })?;
        } else {
            let right = if live {
                *result == Ok(true)
            } else {
                result.is_err()
            };
            require(right, Rule::ActsAreHonoured, || {
                format!("{result:?} for call_{id}, and it is live: {live}")
            })?;
        }
        let emitted = batch.tokens == Vec::from_iter(token);
        require(emitted || result.is_err(), Rule::ActsAreHonoured, || {
            format!("local events {:?}", batch.tokens)
        })?;
        Ok(live)
    }

    fn is_live(&self, at: usize) -> bool {
        self.connected() && !self.calls[at].lost && !self.calls[at].closed
    }

    /// The answer to a call is about to ask for a response.
    fn wish_for_call(&mut self, at: usize, respond: bool) {
        if respond && self.is_live(at) {
            let response = number(&self.calls[at].call.response_id);
            self.expect.request_after(response.unwrap_or_default());
            let id = number(&self.calls[at].call.call_id).unwrap_or_default();
            self.expect.wishes.push(Wish::Output(id));
        }
    }

    pub fn answer(&mut self, at: usize, respond: bool) -> Check {
        let Some(at) = self.call_at(at) else {
            return Ok(());
        };
        let call = Arc::clone(&self.calls[at].call);
        self.note(|| format!("client: answers {}, respond: {respond}", call.call_id));
        self.wish_for_call(at, respond);
        self.settle_deferred(Some(at));
        let token = self.token();
        let now = self.time();
        let (id, connection) = (&call.call_id, call.connection_id);
        let result = self
            .conversation
            .tool_output(id, connection, "ok", respond, &[token], now);
        let live = self.settle_answer(at, &result, Some(token))?;
        if live {
            let again = self
                .conversation
                .tool_output(id, connection, "2", true, &[], now);
            require(again.is_err(), Rule::CallIsAnswered, || {
                "a second answer is taken".to_owned()
            })?;
        }
        self.look().map(drop)
    }

    fn ask(&mut self, at: usize) -> Check {
        let Some(at) = self.call_at(at) else {
            return Ok(());
        };
        let call = Arc::clone(&self.calls[at].call);
        if self.calls[at].awaits_approval {
            return Ok(());
        }
        self.note(|| format!("client: asks for approval of {}", call.call_id));
        self.settle_deferred(self.is_live(at).then_some(at));
        let token = self.token();
        let now = self.time();
        let result =
            self.conversation
                .await_approval(&call.call_id, call.connection_id, token, now);
        let live = self.is_live(at);
        require(result.is_ok() == live, Rule::ActsAreHonoured, || {
            format!("{result:?}, and the call is live: {live}")
        })?;
        self.calls[at].awaits_approval |= live;
        let batch = self.look()?;
        require(
            batch.tokens.contains(&token) == live,
            Rule::ActsAreHonoured,
            || format!("local events {:?}", batch.tokens),
        )
    }

    pub fn decide(&mut self, at: usize) -> Check {
        let Some(at) = self.call_at(at) else {
            return Ok(());
        };
        if !std::mem::take(&mut self.calls[at].awaits_approval) {
            return Ok(());
        }
        let call = Arc::clone(&self.calls[at].call);
        self.note(|| format!("client: {} is approved", call.call_id));
        let live = self.is_live(at);
        let result = self
            .conversation
            .resume_call(&call.call_id, call.connection_id);
        require(result.is_ok() == live, Rule::ActsAreHonoured, || {
            format!("{result:?}, and the call is live: {live}")
        })?;
        self.look().map(drop)
    }

    fn agent_switch(&mut self, session_update: bool) -> AgentSwitch {
        let token = self.token();
        let update = r#"{"type":"session.update","session":{"type":"realtime"}}"#;
        AgentSwitch {
            agent_version: self.agent + 1,
            session_update: session_update.then(|| update.to_owned()),
            before: vec![],
            after: vec![token],
        }
    }

    fn hand_off(&mut self, at: usize) -> Check {
        let Some(at) = self.call_at(at) else {
            return Ok(());
        };
        let call = Arc::clone(&self.calls[at].call);
        self.note(|| format!("client: {} is a handoff", call.call_id));
        self.wish_for_call(at, true);
        self.settle_deferred(Some(at));
        let switch = self.agent_switch(true);
        let now = self.time();
        let result =
            self.conversation
                .hand_off(&call.call_id, call.connection_id, &switch, "{}", now);
        let token = (result == Ok(true)).then_some(self.tokens);
        let live = self.settle_answer(at, &result, token)?;
        self.agent += u64::from(live);
        Ok(())
    }

    fn switch(&mut self) -> Check {
        if !self.connected() {
            return Ok(());
        }
        self.note(|| "client: switches the agent".to_owned());
        let switch = self.agent_switch(true);
        let connection_id = self.conversation.connection_id();
        let switched = self.conversation.switch_agent(connection_id, &switch);
        self.honoured(switched.as_ref().err())?;
        self.agent += 1;
        self.look().map(drop)
    }

    /// A guardrail trips on one of the texts that it was given.
    fn trip(&mut self, rng: &mut Rng) -> Check {
        if self.watch.looks.is_empty() {
            return Ok(());
        }
        let last = self.watch.looks.len() - 1 - rng.below(self.watch.looks.len().min(3));
        let look = self.watch.looks.swap_remove(last);
        let response = look.response_id.as_deref().and_then(number);
        let Some(response) = response.filter(|id| !self.expect.is_apart(*id)) else {
            return Ok(());
        };
        let newest = self.expect.newest() == Some(response);
        let audio = look.source == GuardSource::Audio;
        self.note(|| format!("client: a guardrail trips on resp_{response}, audio: {audio}"));
        let id = self.new_id();
        let feedback = object(json!({"type": "conversation.item.create", "item":
            {"id": format!("item_{id}"), "type": "message", "role": "user", "content":
                [{"type": "input_text", "text": "guardrail"}]}}));
        let first = self.expect.tripped.insert(response);
        let expected = if first && newest && self.connected() {
            self.accepted(true);
            self.expect.wishes.push(Wish::Item(id));
            if audio {
                self.expect.silenced.insert(response);
                self.stop_answer()
            } else {
                let active = self.expect.active.filter(|active| *active == response);
                self.expect.silenced.extend(active);
                Interruption {
                    cancel: active.filter(|id| !self.expect.cancelled.contains(id)),
                    ..Interruption::default()
                }
            }
        } else {
            Interruption::default()
        };
        let token = self.token();
        let now = self.time();
        let tripped = self.conversation.guardrail_tripped(
            look.connection_id,
            look.response_index,
            look.response_id.as_deref(),
            look.source,
            token,
            &feedback,
            now,
        );
        let live = look.connection_id == self.conversation.connection_id();
        require(
            tripped.is_ok() == (first && live),
            Rule::ActsAreHonoured,
            || format!("{tripped:?}"),
        )?;
        self.look_at(None, &expected).map(drop)
    }

    fn rewrite(&mut self, rng: &mut Rng) -> Check {
        let kept = self.conversation.history();
        let mut items: Vec<Value> = kept.iter().map(|item| item.to_value()).collect();
        match rng.below(3) {
            0 if !items.is_empty() => {
                items.remove(rng.below(items.len()));
            }
            1 => items.clear(),
            _ => {
                let id = self.new_id();
                let at = rng.below(items.len() + 1);
                items.insert(
                    at,
                    json!({"item_id": format!("item_{id}"), "type": "message", "role": "user",
                           "content": [{"type": "input_text", "text": "x"}]}),
                );
            }
        }
        self.note(|| format!("client: update_history, {} items", items.len()));
        let items: Result<Vec<_>, _> = items.iter().map(WrittenItem::read).collect();
        let items = items.or_else(|why| crate::rules::broken(Rule::ActsAreHonoured, why))?;
        let updated = self.conversation.update_history(&items);
        if self.connected() {
            require(updated.is_ok(), Rule::ActsAreHonoured, || {
                format!("{updated:?}")
            })?;
        }
        self.look().map(drop)
    }

    /// The user's player says how far it is.
    fn report(&mut self, rng: &mut Rng) -> Check {
        let Some((item, index, ms)) = self.expect.player.play(3 * rng.below(60) as u64) else {
            return Ok(());
        };
        self.note(|| format!("client: item_{item}/{index} was played to {ms} ms"));
        self.conversation
            .playback_reported(&format!("item_{item}"), index, ms as f64);
        self.look().map(drop)
    }
}
