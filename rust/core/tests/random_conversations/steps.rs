//! The steps of a conversation. Each is drawn before any is taken, so that any may be left out.

use crate::client;
use crate::persona::Persona;
use crate::rng::Rng;
use crate::rules::Check;
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    // The line.
    ServerReads,
    ClientReads,
    TimePasses,
    // The server.
    Go,
    GoFast,
    Speech,
    Transcribe,
    Stick,
    // The client.
    Say,
    SendAudio,
    Interrupt,
    Request,
    RequestWithPayload,
    RawCancel,
    Answer,
    AskApproval,
    Decide,
    HandOff,
    Switch,
    Trip,
    Rewrite,
    Report,
    // The connection.
    Lose,
    Close,
    Connect,
    Rest,
}

/// Each kind of step, and how often it comes.
const WEIGHTS: &[(Kind, usize)] = &[
    (Kind::ServerReads, 140),
    (Kind::ClientReads, 200),
    (Kind::TimePasses, 120),
    (Kind::Go, 200),
    (Kind::GoFast, 30),
    (Kind::Speech, 30),
    (Kind::Transcribe, 8),
    (Kind::Stick, 1),
    (Kind::Say, 40),
    (Kind::SendAudio, 15),
    (Kind::Interrupt, 25),
    (Kind::Request, 15),
    (Kind::RequestWithPayload, 10),
    (Kind::RawCancel, 5),
    (Kind::Answer, 50),
    (Kind::AskApproval, 6),
    (Kind::Decide, 6),
    (Kind::HandOff, 6),
    (Kind::Switch, 4),
    (Kind::Trip, 12),
    (Kind::Rewrite, 6),
    (Kind::Report, 25),
    (Kind::Lose, 3),
    (Kind::Close, 2),
    (Kind::Connect, 8),
    (Kind::Rest, 6),
];

/// A step, and the seed of whatever is random in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub kind: Kind,
    pub seed: u64,
}

impl Step {
    fn draw(rng: &mut Rng) -> Self {
        let weights: Vec<usize> = WEIGHTS.iter().map(|(_, weight)| *weight).collect();
        let kind = WEIGHTS[rng.weighted(&weights)].0;
        let seed = rng.next();
        Self { kind, seed }
    }

    fn take(self, world: &mut World) -> Check {
        let mut rng = Rng::new(self.seed);
        let rng = &mut rng;
        match self.kind {
            Kind::ServerReads => world.up(1 + rng.below(3), rng).map(drop)?,
            Kind::ClientReads => world.down(1 + rng.below(8)).map(drop)?,
            Kind::TimePasses => {
                let longest = [40, 400, 4_000][rng.weighted(&[60, 35, 5])];
                world.wait(rng.below(longest) as u64)?;
            }
            Kind::Go => {
                let (which, count) = (rng.below(8), 1 + rng.below(6));
                world.server.go(which, count);
            }
            Kind::GoFast => {
                let which = rng.below(8);
                world.server.go(which, usize::MAX);
            }
            Kind::Speech if world.connected() => world.speech(rng)?,
            Kind::Transcribe if world.connected() => world.server.transcribe(rng),
            Kind::Stick => world.server.stick(rng.below(8)),
            Kind::Speech | Kind::Transcribe => {}
            Kind::Lose => world.disconnect(false)?,
            Kind::Close => world.disconnect(true)?,
            Kind::Connect => world.connect()?,
            Kind::Rest => world.quiet(rng)?,
            kind => client::act(world, kind, rng)?,
        }
        Ok(())
    }
}

/// A conversation: everything that happens in it follows from this.
#[derive(Debug, Clone)]
pub struct Plan {
    pub persona: Persona,
    pub steps: Vec<Step>,
    /// Of the rest at the end.
    pub seed: u64,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let persona = Persona::draw(&mut rng);
        let length = 20 + rng.below(180);
        let steps = (0..length).map(|_| Step::draw(&mut rng)).collect();
        Self {
            persona,
            steps,
            seed: rng.next(),
        }
    }

    pub fn run(&self, traced: bool) -> (Check, Vec<String>) {
        let mut world = match World::new(&self.persona, traced) {
            Ok(world) => world,
            Err(violation) => return (Err(violation), Vec::new()),
        };
        let result = self.steps_of(&mut world);
        (result, world.trace.unwrap_or_default())
    }

    fn steps_of(&self, world: &mut World) -> Check {
        for step in &self.steps {
            step.take(world)?;
        }
        world.quiet(&mut Rng::new(self.seed))
    }
}
