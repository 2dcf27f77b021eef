//! Responses whose connection was lost before their end.

use std::sync::Arc;

use serde_json::Value;

use super::{Response, Responses};
use crate::conversation::event::Timings;

/// A response whose connection was lost before its end.
#[derive(Debug)]
pub(in crate::conversation) struct Lost {
    pub(in crate::conversation) id: Option<Arc<str>>,
    pub(in crate::conversation) out_of_band: bool,
    pub(in crate::conversation) agent_version: u64,
    /// The item that was being said, and its words so far.
    pub(in crate::conversation) said: Option<(Arc<str>, String)>,
    /// What its request gave to know it by, of one out of band.
    pub(in crate::conversation) metadata: Option<Box<Value>>,
    pub(in crate::conversation) timings: Timings,
}

impl Response {
    /// Whether it belongs to no conversation, and has begun and not ended.
    fn is_in_flight(&self) -> bool {
        self.out_of_band && !self.done && self.timings.created.is_some()
    }

    /// Its connection was lost.
    fn lose(&mut self) -> Lost {
        self.done = true;
        let said = self.transcripts.last();
        Lost {
            id: Some(Arc::clone(&self.id)),
            out_of_band: self.out_of_band,
            agent_version: self.agent_version,
            said: said.map(|(item_id, _, words)| (Arc::clone(item_id), words.clone())),
            metadata: self.metadata.take(),
            timings: self.timings,
        }
    }
}

impl Responses {
    /// Ends the responses that the server announced, because their connection was lost: the current one
    /// first.
    pub(in crate::conversation) fn lose_all(&mut self) -> Vec<Lost> {
        let current = self.current.take().filter(|current| current.created);
        let mut lost: Vec<Lost> = current
            .into_iter()
            .map(|current| {
                let record = current.id.as_ref().and_then(|id| self.get_mut(id));
                record.map_or_else(
                    || Lost {
                        id: current.id.clone(),
                        out_of_band: false,
                        agent_version: current.agent_version,
                        said: None,
                        metadata: None,
                        timings: Timings::default(),
                    },
                    Response::lose,
                )
            })
            .collect();
        let in_flight = self.known.iter_mut().filter(|it| it.is_in_flight());
        lost.extend(in_flight.map(Response::lose));
        lost
    }

    /// Whether a response out of band has begun that has not ended.
    pub(in crate::conversation) fn any_out_of_band(&self) -> bool {
        self.known.iter().any(Response::is_in_flight)
    }
}
