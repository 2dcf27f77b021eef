//! Calls a reflector many times at once, with packets that need neither encoder nor decoder, or
//! opens and closes calls, some at a time. Says what it cost as one line of JSON.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lexopt::prelude::{Long, ValueExt as _};
use serde_json::{Value, json};
use stapes_core::audio::passthrough::{PacketLimits, Passed};
use stapes_core::transport::webrtc::{ConnectRequest, Proxy, WebRtcOptions, connect};
use stapes_core::transport::{
    CloseReason, DecodeMode, DownlinkFrame, Endpoint, Frame, Outgoing, SampleRates, SoundEndpoint,
    SoundStats, Uplink, UplinkFrame,
};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RATES: SampleRates = SampleRates {
    input: 24_000,
    output: 24_000,
};

/// An endpoint that counts.
struct Counter {
    uplink: Uplink,
    wanted: DecodeMode,
    heard: AtomicU64,
    started: AtomicBool,
    closing: AtomicBool,
    ready: Notify,
    held: watch::Sender<bool>,
}

impl Counter {
    fn new(wanted: DecodeMode) -> Arc<Self> {
        Arc::new(Self {
            // Bytes of PCM: some minutes.
            uplink: Uplink::new(1 << 24),
            wanted,
            heard: AtomicU64::new(0),
            started: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            ready: Notify::new(),
            held: watch::Sender::new(false),
        })
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.ready.notify_one();
    }
}

impl Endpoint for Counter {
    fn on_frame(&self, frame: Frame<'_>) {
        if let Frame::Text(text) = frame
            && text.contains("output_audio_buffer.started")
        {
            self.started.store(true, Ordering::Release);
        }
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, _max_bytes: usize) {
        if self.closing.swap(false, Ordering::AcqRel) {
            batch.push(Outgoing::Close {
                code: 1000,
                reason: String::new(),
            });
        }
    }

    fn on_flushed(&self) {}

    fn outgoing_ready(&self) -> &Notify {
        &self.ready
    }

    fn reading_held(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    fn on_ended(&self, _ended: CloseReason) {}
}

impl SoundEndpoint for Counter {
    fn uplink(&self) -> Option<&Uplink> {
        Some(&self.uplink)
    }

    fn wanted(&self) -> DecodeMode {
        self.wanted
    }

    fn segment(&self) -> u64 {
        u64::from(self.started.load(Ordering::Acquire))
    }

    fn on_sound(&self, _stretch: u64, piece: DownlinkFrame<'_>) {
        if !matches!(
            piece,
            DownlinkFrame::Packet(Passed { payload: None, .. }, _)
        ) {
            self.heard.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_segment_ended(&self, _stretch: u64) {}

    fn on_mark(&self) {}

    fn on_room(&self) {}

    fn on_stats(&self, _stats: SoundStats) {}
}

/// What this process uses of the machine.
struct Usage {
    cpu_s: f64,
    rss_kb: u64,
}

fn usage() -> Result<Usage, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .ok_or("no stat")?
        .1
        .split(' ')
        .collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let pages = fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = pages.split(' ').nth(1).ok_or("no statm")?.parse()?;
    Ok(Usage {
        cpu_s: ticks as f64 / 100.0,
        rss_kb: resident * 4,
    })
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

struct Asked {
    url: String,
    calls: usize,
    seconds: u64,
    opens: usize,
    /// How many calls are being connected at a time.
    at_once: usize,
}

fn asked() -> Result<Asked, Failure> {
    let mut asked = Asked {
        url: String::new(),
        calls: 200,
        seconds: 10,
        opens: 0,
        at_once: 8,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("url") => asked.url = parser.value()?.string()?,
            Long("calls") => asked.calls = parser.value()?.parse()?,
            Long("seconds") => asked.seconds = parser.value()?.parse()?,
            Long("opens") => asked.opens = parser.value()?.parse()?,
            Long("at-once") => asked.at_once = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(asked)
}

fn options() -> WebRtcOptions {
    WebRtcOptions {
        proxy: Proxy::Direct,
        ..WebRtcOptions::default()
    }
}

async fn call(
    url: &str,
) -> Result<(Arc<Counter>, impl Future<Output = ()> + Send + use<>), Failure> {
    let request = ConnectRequest {
        url: url.to_owned(),
        headers: Vec::new(),
        secrets: Vec::new(),
    };
    let connection = connect(&request, &options(), RATES).await?;
    let counter = Counter::new(DecodeMode::Packets(PacketLimits::ANY));
    Ok((Arc::clone(&counter), connection.run(counter)))
}

/// 20 ms at 32 kbit/s.
fn packet() -> UplinkFrame {
    let payload = Some(Bytes::from_static(&[0x48; 80]));
    UplinkFrame::Packet(
        Passed {
            payload,
            ticks: 960,
        },
        480,
    )
}

/// Many calls at once, each sending and hearing 50 packets a second.
async fn together(asked: &Asked) -> Result<Value, Failure> {
    let (before, began) = (usage()?, Instant::now());
    let room = Arc::new(Semaphore::new(asked.at_once));
    let mut dialling = JoinSet::new();
    for _ in 0..asked.calls {
        let (url, room) = (asked.url.clone(), Arc::clone(&room));
        dialling.spawn(async move {
            let _place = room.acquire().await?;
            call(&url).await
        });
    }
    let mut tasks = JoinSet::new();
    let mut calls = Vec::new();
    while let Some(dialled) = dialling.join_next().await {
        let (counter, carrying) = dialled??;
        tasks.spawn(carrying);
        calls.push(counter);
    }
    while !calls
        .iter()
        .all(|call| call.started.load(Ordering::Acquire))
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let standing = usage()?;
    let connecting = began.elapsed().as_secs_f64() * 1000.0;
    let packets = asked.seconds * 50;
    for call in &calls {
        for _ in 0..packets {
            call.uplink.push(packet());
        }
        call.uplink.wake_driver();
        // One call does not begin in the same millisecond as the next.
        tokio::time::sleep(Duration::from_micros(20_000 / asked.calls as u64)).await;
    }
    let (from, began) = (usage()?, Instant::now());
    // The last second is left out: calls end in it.
    tokio::time::sleep(Duration::from_secs(asked.seconds.saturating_sub(1))).await;
    let (to, took) = (usage()?, began.elapsed());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let heard: u64 = calls
        .iter()
        .map(|call| call.heard.load(Ordering::Relaxed))
        .sum();
    for call in &calls {
        call.close();
    }
    while tasks.join_next().await.is_some() {}
    let sent = packets * asked.calls as u64;
    let cores = (to.cpu_s - from.cpu_s) / took.as_secs_f64();
    Ok(json!({
        "calls": asked.calls,
        "connect_ms_each": connecting / asked.calls as f64,
        "packets": sent,
        "packets_lost": sent.saturating_sub(heard),
        "cores": cores,
        "cpu_ms_per_call_s": cores * 1000.0 / asked.calls as f64,
        "kb_per_call": (standing.rss_kb.saturating_sub(before.rss_kb)) / asked.calls as u64,
        "kb_per_call_in_use": (to.rss_kb.saturating_sub(before.rss_kb)) / asked.calls as u64,
    }))
}

/// One call from its opening to its close.
async fn one_call(url: String, room: Arc<Semaphore>) -> Result<(), Failure> {
    let _place = room.acquire().await?;
    let (counter, carrying) = call(&url).await?;
    counter.uplink.push(packet());
    counter.uplink.wake_driver();
    let task = tokio::spawn(carrying);
    counter.close();
    task.await?;
    Ok(())
}

/// So many calls, some at a time.
async fn some_calls(asked: &Asked, count: usize) -> Result<(), Failure> {
    let room = Arc::new(Semaphore::new(asked.at_once));
    let mut calls = JoinSet::new();
    for _ in 0..count {
        calls.spawn(one_call(asked.url.clone(), Arc::clone(&room)));
    }
    while let Some(called) = calls.join_next().await {
        called??;
    }
    Ok(())
}

/// What there is of what each call has.
async fn left() -> Value {
    // Sockets are closed by a task that may still be at it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    json!({
        "threads": threads(),
        "descriptors": open_files(),
        "tokio tasks": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
    })
}

/// Calls that are opened and closed.
async fn coming_and_going(asked: &Asked) -> Result<Value, Failure> {
    const PARTS: usize = 20;
    // What is made once is no leak.
    some_calls(asked, 2 * asked.at_once).await?;
    let before = left().await;
    let (used, began) = (usage()?.cpu_s, Instant::now());
    let mut samples = Vec::new();
    for part in 0..PARTS {
        let (from, to) = (part * asked.opens / PARTS, (part + 1) * asked.opens / PARTS);
        samples.push(json!({"after": from, "rss_kb": usage()?.rss_kb}));
        some_calls(asked, to - from).await?;
    }
    let each = |seconds: f64| seconds * 1000.0 / asked.opens as f64;
    let (took, used) = (began.elapsed().as_secs_f64(), usage()?.cpu_s - used);
    let after = left().await;
    samples.push(json!({"after": asked.opens, "rss_kb": usage()?.rss_kb}));
    Ok(json!({
        "opened": asked.opens,
        "at_once": asked.at_once,
        "ms_each": each(took),
        "cpu_ms_each": each(used),
        "before": before,
        "after": after,
        "samples": samples,
    }))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let asked = asked()?;
    let result = if asked.opens > 0 {
        coming_and_going(&asked).await?
    } else {
        together(&asked).await?
    };
    writeln!(std::io::stdout(), "{result}")?;
    Ok(())
}
