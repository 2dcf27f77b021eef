//! `stapes-load-core`: the session's core alone. No Python: sound is delivered to Rust and the
//! microphones are fed in Rust. With `--quiet` nobody is subscribed to audio.

use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use stapes_core::conversation::{Event, Interest, Options as ConversationOptions};
use stapes_core::session::{
    AudioInput, Clock, ConnectionSettings, EventSink, Microphone, OutgoingLimits, Session,
};
use stapes_core::transport::websocket::{ConnectRequest, Tls, WebSocketOptions, connect};
use stapes_load::client::options::Options;
use stapes_load::client::report::{Stretch, begin, summarise};
use stapes_load::client::session::{Received, microphone_pcm};
use stapes_load::client::socket::Failure;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How long the greeting may take to come.
const SETTLING: Duration = Duration::from_millis(300);

/// What hears one session.
struct Ears {
    heard: Mutex<Heard>,
    is_done: Notify,
}

#[derive(Default)]
struct Heard {
    received: Received,
    responses_left: usize,
}

impl Ears {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Ears {
    fn push(&self, _: u64, event: Event) {
        match event {
            Event::Audio { data, .. } => {
                self.heard().received.hear(&data);
            }
            Event::ResponseEnded(_) => {
                let mut heard = self.heard();
                heard.responses_left = heard.responses_left.saturating_sub(1);
                if heard.responses_left == 0 {
                    self.is_done.notify_one();
                }
            }
            Event::CoreError(_) => self.heard().received.errors += 1,
            _ => {}
        }
    }

    fn pushed(&self) {}

    fn drained(&self) {}

    fn outgoing_ready(&self) {}
}

/// One thread, as the extension has it on one core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let result = run(options).await.map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "{}", Value::Object(result))?;
    Ok(())
}

async fn run(options: Options) -> Result<Map<String, Value>, Failure> {
    let mut result = begin(&options);
    let connecting = Stretch::start();
    let mut sessions = Vec::new();
    for _ in 0..options.sessions {
        sessions.push(open(&options).await?);
    }
    tokio::time::sleep(SETTLING).await;
    connecting.connected(options.sessions, &mut result);

    let turns = Stretch::start();
    let pcm = microphone_pcm();
    let mut mic_sent = 0_usize;
    let mut ticker = options.ticker();
    while let Some(due) = ticker.next().await {
        for at in &due.start {
            ask(sessions[*at].0.session())?;
        }
        for at in &due.send {
            sessions[*at].0.send(AudioInput::Wire(&pcm), false)?;
            mic_sent += 1;
        }
    }
    for (_, ears) in &sessions {
        ears.is_done.notified().await;
    }
    turns.end(&mut result);
    let received: Vec<_> = sessions
        .iter()
        .map(|(_, ears)| std::mem::take(&mut ears.heard().received))
        .collect();
    summarise(&received, &mut result);
    result.insert("mic_sent".to_owned(), json!(mic_sent));
    result.insert("hands_out_audio".to_owned(), json!(!options.is_quiet));
    Ok(result)
}

async fn open(options: &Options) -> Result<(Microphone, Arc<Ears>), Failure> {
    let ears = Arc::new(Ears {
        heard: Mutex::new(Heard {
            responses_left: options.responses,
            ..Heard::default()
        }),
        is_done: Notify::new(),
    });
    let session = Session::new(
        ConversationOptions::default(),
        OutgoingLimits::default(),
        Clock::default(),
        Handle::current(),
        Arc::clone(&ears) as Arc<dyn EventSink>,
    );
    let interest = if options.is_quiet {
        Interest(0)
    } else {
        Interest::AUDIO
    };
    session.set_interest(interest);
    let line = session
        .connecting(ConnectionSettings::default())
        .map_err(|refused| format!("{refused:?}"))?;
    let request = ConnectRequest {
        url: options.target(),
        headers: Vec::new(),
        secrets: Vec::new(),
    };
    let settings = WebSocketOptions {
        tls: Tls {
            ca_file: options.authority.clone(),
        },
        ..WebSocketOptions::default()
    };
    let connection = connect(&request, &settings).await?;
    let connection_id = line.connection_id();
    let update = r#"{"type":"session.update","session":{"type":"realtime"}}"#;
    session
        .act(|conversation, _| {
            conversation.opened(connection_id, 0, update.to_owned(), Value::Null)
        })
        .map_err(|refused| format!("{refused:?}"))?;
    tokio::spawn(connection.run(line));
    Ok((Microphone::new(session), ears))
}

fn ask(session: &Session) -> Result<(), Failure> {
    let event = json!({"type": "conversation.item.create", "item": {
        "type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}],
    }});
    let Value::Object(event) = event else {
        return Ok(());
    };
    session
        .act(|conversation, now| conversation.send_message(&event, true, now))
        .map_err(|refused| format!("{refused:?}").into())
}
