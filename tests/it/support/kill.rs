//! Killing the program in the middle of something, at an instant that chance chooses.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use windlass::sys::random::{Random, SeededRandom, SystemRandom};

use super::program::{Machine, send};

/// How long a run may go on without the kill's moment coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where random instants come from. The seed is printed; `WINDLASS_TEST_SEED` sets it.
pub struct Chance {
    pub seed: u64,
    random: SeededRandom,
}

impl Chance {
    pub fn new() -> Self {
        let mut bytes = [0; 8];
        SystemRandom.fill(&mut bytes);
        let given = std::env::var("WINDLASS_TEST_SEED").ok().map(|seed| seed.parse().expect("the seed is a number"));
        let seed = given.unwrap_or(u64::from_le_bytes(bytes));
        println!("WINDLASS_TEST_SEED={seed}");
        Self { seed, random: SeededRandom::new(seed) }
    }

    /// A duration below this one.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        Duration::from_nanos(u64::from_le_bytes(bytes) % u64::try_from(most.as_nanos()).unwrap())
    }
}

/// How often it is looked whether a phase has begun: much shorter than what is struck, and a processor is left for the others.
const TICK: Duration = Duration::from_micros(100);

/// How a run that was to be killed ended.
#[derive(Debug)]
pub enum Killed {
    /// The kill hit while this phase was the last one that had begun.
    In(String),
    /// It was over before the kill came.
    TooLate,
}

impl Killed {
    /// Whether the kill came in this phase, and neither before nor after it.
    pub fn was_in(&self, phase: &str) -> bool {
        matches!(self, Self::In(met) if met == phase)
    }
}

/// Starts the program, waits for a phase and then for something to hold, lets some time pass, and kills it.
pub fn kill(machine: &Machine, arguments: &[&str], phase: &str, delay: Duration, holds: &mut dyn FnMut() -> bool) -> Killed {
    let mut child = machine.start(&[&["--json"], arguments].concat());
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (last, begun, over) = (Mutex::new(String::new()), AtomicBool::new(false), AtomicBool::new(false));
    let wanted = format!("\"phase\":\"{phase}\"");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for line in stderr.lines() {
                let line = line.unwrap();
                if let Some(at) = line.find("\"phase\":\"") {
                    *last.lock().unwrap() = line[at + 9..].split('"').next().unwrap().to_owned();
                    begun.fetch_or(line.contains(&wanted), Ordering::SeqCst);
                }
            }
            over.store(true, Ordering::SeqCst);
        });
        let since = Instant::now();
        while !over.load(Ordering::SeqCst) && (!begun.load(Ordering::SeqCst) || !holds()) {
            assert!(since.elapsed() < PATIENCE, "{phase} does not come");
            std::thread::sleep(TICK);
        }
        std::thread::sleep(delay);
        send(child.id(), Signal::KILL);
    });
    let status = child.wait().unwrap();
    match status.signal() {
        Some(9) => Killed::In(last.into_inner().unwrap()),
        _ => Killed::TooLate,
    }
}
