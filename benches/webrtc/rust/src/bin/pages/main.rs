//! Web pages that call a server over WebRTC, and the model that the server talks with: both outer ends of so
//! many calls. Says what they cost the server, and how late sound is, as one line of JSON.
//!
//! The pages send Opus that was encoded before, and decode nothing.

mod figures;
mod page;
mod sound;

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use lexopt::prelude::{Long, ValueExt as _};
use phone_load::call::Call;
use phone_load::clock::{MS, at, now, start};
use phone_load::model::{Times, serve};
use phone_load::process;
use phone_load::script::CYCLE_MS;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use self::figures::{Ends, Window, figures};
use self::page::{Target, Task};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long answers are still followed when the window is over, in milliseconds.
const DRAIN_MS: u64 = 1_500;

/// How long a page has to reach the model.
const PATIENCE: Duration = Duration::from_secs(10);

/// After so many pages that do not no more are tried.
const MOST_FAILED: usize = 3;

struct Asked {
    url: String,
    calls: usize,
    /// Of 7 s each.
    cycles: u64,
    pid: i32,
    model_port: u16,
    wav: String,
    server_core: usize,
}

fn asked() -> Result<Asked, Failure> {
    let mut asked = Asked {
        url: "http://127.0.0.1:8000/talk".to_owned(),
        calls: 1,
        cycles: 3,
        pid: 0,
        model_port: 8765,
        wav: String::new(),
        server_core: 1,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("url") => asked.url = parser.value()?.string()?,
            Long("calls") => asked.calls = parser.value()?.parse()?,
            Long("cycles") => asked.cycles = parser.value()?.parse()?,
            Long("pid") => asked.pid = parser.value()?.parse()?,
            Long("model-port") => asked.model_port = parser.value()?.parse()?,
            Long("wav") => asked.wav = parser.value()?.string()?,
            Long("server-core") => asked.server_core = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(asked)
}

/// What server, load and cores have used so far, in nanoseconds.
struct Usage {
    at: u64,
    server: u64,
    own: u64,
    cores: [u64; 2],
}

impl Usage {
    fn now(asked: &Asked) -> Self {
        // Cores here and of the server, without processes that give way.
        let cores = [1 - asked.server_core, asked.server_core];
        Self {
            at: now(),
            server: process::cpu_ns(asked.pid),
            own: process::cpu_ns(std::process::id().cast_signed()),
            cores: cores.map(|core| {
                let (busy, nice) = process::core_busy_ns(core);
                busy - nice
            }),
        }
    }

    fn share(&self, since: &Self, of: impl Fn(&Self) -> u64) -> f64 {
        (of(self) - of(since)) as f64 / (self.at - since.at) as f64
    }
}

/// The calls, and whom they are told of.
struct Load {
    asked: Asked,
    ends: Vec<Ends>,
    times: watch::Sender<Option<Times>>,
    tasks: watch::Sender<Task>,
    /// The call whose model connects next.
    current: Rc<Cell<usize>>,
    unexpected: Rc<Cell<u64>>,
}

impl Load {
    fn new(asked: Asked) -> Self {
        let call = |n| Call {
            index: n,
            interrupts: true,
            phase: CYCLE_MS * MS * u64::from(n) / asked.calls as u64,
            ..Call::default()
        };
        let ends = (0..asked.calls).map(|n| Ends {
            call: Rc::new(RefCell::new(call(n as u16))),
            page: Rc::default(),
            heard_ms: [0.0; 2],
        });
        Self {
            ends: ends.collect(),
            asked,
            times: watch::Sender::new(None),
            tasks: watch::Sender::new(Task::Talk),
            current: Rc::default(),
            unexpected: Rc::default(),
        }
    }

    /// Takes the server's connections to its model: calls come one after another.
    async fn be_the_model(&self) -> Result<(), Failure> {
        let listener = TcpListener::bind(("127.0.0.1", self.asked.model_port)).await?;
        let calls: Vec<_> = self.ends.iter().map(|it| Rc::clone(&it.call)).collect();
        let (current, unexpected) = (Rc::clone(&self.current), Rc::clone(&self.unexpected));
        let times = self.times.clone();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let call = &calls[current.get()];
                if call.borrow().is_model_connected {
                    unexpected.set(unexpected.get() + 1);
                } else {
                    spawn_local(serve(stream, Rc::clone(call), times.subscribe()));
                }
            }
        });
        Ok(())
    }

    /// Opens the calls; how many failed, and how long the slowest took in nanoseconds.
    async fn call(&self, target: &Target) -> Result<(usize, u64), Failure> {
        let microphone = sound::prepare(&self.asked.wav)?.into();
        let (mut failed, mut slowest) = (0, 0);
        for (n, ends) in self.ends.iter().enumerate() {
            self.current.set(n);
            let from = now();
            spawn_local(page::run(
                target.clone(),
                Rc::clone(&ends.call),
                Rc::clone(&ends.page),
                Rc::clone(&microphone),
                self.tasks.subscribe(),
            ));
            let ready = async {
                while !ends.call.borrow().is_ready {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            if tokio::time::timeout(PATIENCE, ready).await.is_err() {
                failed += 1;
                if failed == MOST_FAILED {
                    break;
                }
            }
            slowest = slowest.max(now() - from);
        }
        Ok((failed, slowest))
    }

    fn look(&mut self, which: usize) {
        for ends in &mut self.ends {
            ends.heard_ms[which] = ends.call.borrow().in_ms;
        }
    }

    async fn run(mut self) -> Result<Value, Failure> {
        let target = target(&self.asked.url)?;
        self.be_the_model().await?;
        let before = Usage::now(&self.asked);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = Usage::now(&self.asked);
        let idle_share = idle.share(&before, |it| it.server);
        let (idle_kb, _, _) = process::memory(self.asked.pid);
        let (failed, slowest) = self.call(&target).await?;
        let set_up = Usage::now(&self.asked);

        let begin = now() + 300 * MS;
        let from = begin + CYCLE_MS * MS;
        let to = from + self.asked.cycles * CYCLE_MS * MS;
        self.times.send_replace(Some(Times { begin, end: to }));
        tokio::time::sleep_until(at(from)).await;
        let first = Usage::now(&self.asked);
        self.look(0);
        self.tasks.send_replace(Task::Ask);
        tokio::time::sleep_until(at(to)).await;
        let last = Usage::now(&self.asked);
        self.look(1);
        let (rss_kb, _, _) = process::memory(self.asked.pid);
        self.tasks.send_replace(Task::Ask);
        tokio::time::sleep(Duration::from_millis(DRAIN_MS)).await;
        let window = Window {
            from,
            to,
            end: now(),
        };
        let mut found = figures(&self.ends, window);
        self.tasks.send_replace(Task::HangUp);
        tokio::time::sleep(Duration::from_millis(500)).await;

        let calls = self.ends.len() as f64;
        let server = last.share(&first, |it| it.server);
        let own = last.share(&first, |it| it.own);
        let here = last.share(&first, |it| it.cores[0]);
        let there = last.share(&first, |it| it.cores[1]);
        let pages = self.ends.iter().map(|it| it.page.borrow());
        let why = pages.filter_map(|it| it.lost.as_ref().map(|(_, why)| why.clone()));
        for (name, value) in [
            ("calls", json!(self.ends.len())),
            ("seconds", json!((last.at - first.at) as f64 / 1e9)),
            (
                "cpu_ms_per_call_s",
                json!((server - idle_share) * 1000.0 / calls),
            ),
            ("server_core", json!(server)),
            ("load_core", json!(own)),
            ("idle_share", json!(idle_share)),
            // What else took of either core.
            ("foreign", json!((here - own).max(there - server))),
            (
                "kb_per_call",
                json!(rss_kb.saturating_sub(idle_kb) as f64 / calls),
            ),
            ("setup_ms_each", json!(ms(set_up.at - idle.at) / calls)),
            (
                "setup_cpu_ms_each",
                json!(ms(set_up.server - idle.server) / calls),
            ),
            ("setup_slowest_ms", json!(ms(slowest))),
            ("setup_failed", json!(failed)),
            ("unexpected_connections", json!(self.unexpected.get())),
            ("why_lost", json!(why.take(3).collect::<Vec<_>>())),
        ] {
            found.insert(name.to_owned(), value);
        }
        Ok(Value::Object(found))
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / MS as f64
}

fn target(url: &str) -> Result<Target, Failure> {
    let rest = url.strip_prefix("http://").ok_or("url: http:// alone")?;
    let (address, path) = rest.split_once('/').ok_or("url: it has no path")?;
    Ok(Target {
        address: address.to_owned(),
        path: format!("/{path}"),
    })
}

fn main() -> Result<(), Failure> {
    start();
    let asked = asked()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = LocalSet::new().block_on(&runtime, Load::new(asked).run())?;
    writeln!(std::io::stdout(), "{found}")?;
    Ok(())
}
