//! The real program, stood still at its system calls: after each one that a test names it is stopped as SIGSTOP stops it, and goes on or is
//! killed there. `strace` sends the signals, because only a tracer can do that between two calls of another process.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::program::{Machine, Run, send};

/// How long a run may take to its next system call.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the log of the tracer is looked at: a stop takes less.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// How often a program that does nothing is told to go on again.
const NUDGE_EVERY: Duration = Duration::from_millis(50);

/// A system call that was done.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name, such as `linkat`.
    pub name: String,
    /// Its arguments and its outcome, as strace writes them; descriptors with their paths.
    pub text: String,
}

/// A run that stands still.
pub struct Stepped {
    child: Child,
    log: PathBuf,
    /// How much of the log was read.
    read: u64,
    /// The beginning of a line that is not complete.
    rest: String,
    /// Calls that have begun, by thread.
    begun: HashMap<String, Call>,
    /// Calls that were done and not yet handed on.
    done: VecDeque<Call>,
    /// Whether it was stopped and not yet told to go on.
    stopped: bool,
}

impl Stepped {
    /// Starts the program, to be stopped after each of these system calls.
    pub fn start(machine: &Machine, calls: &str, arguments: &[&str]) -> Self {
        let log = machine.path("strace.log");
        let _ = fs::remove_file(&log);
        // As a grandchild of this process, so that the one that is started is the program and not its tracer.
        let stops = format!("inject={calls}:signal=SIGSTOP");
        let child = machine.traced(&["-D", "-y", "-e", &format!("trace={calls}"), "-e", &stops], &log, arguments);
        Self { child, log, read: 0, rest: String::new(), begun: HashMap::new(), done: VecDeque::new(), stopped: false }
    }

    /// Lets it go on until it has done such a call, after which it stands still; nothing when it has ended.
    pub fn step(&mut self, wanted: &dyn Fn(&Call) -> bool) -> Option<Call> {
        let mut since = Instant::now();
        let mut nudged = since;
        loop {
            if self.stopped {
                while let Some(call) = self.done.pop_front() {
                    if wanted(&call) {
                        self.settle();
                        return Some(call);
                    }
                }
                self.stopped = false;
                send(self.child.id(), Signal::CONT);
                (since, nudged) = (Instant::now(), Instant::now());
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            self.stopped = self.look();
            if !self.stopped {
                std::thread::sleep(LOOK_EVERY);
            }
            // What is told to go on in the very moment in which it stops may stop after it.
            if nudged.elapsed() > NUDGE_EVERY {
                send(self.child.id(), Signal::CONT);
                nudged = Instant::now();
            }
            assert!(since.elapsed() < PATIENCE, "the program hangs: {}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }

    /// Reads on in the log; gives whether the program was stopped.
    fn look(&mut self) -> bool {
        let Ok(mut file) = File::open(&self.log) else { return false };
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        self.read += text.len() as u64;
        self.rest.push_str(&text);
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.rest.drain(..whole).collect();
        let mut stopped = false;
        for line in lines.lines() {
            let (thread, line) = line.split_once(' ').unwrap_or_default();
            stopped |= self.take(thread, line.trim_start());
        }
        stopped
    }

    /// Takes a line of a thread; gives whether it says that the thread was stopped.
    fn take(&mut self, thread: &str, line: &str) -> bool {
        if line.starts_with("--- SIGSTOP") {
            return true;
        }
        if let Some(rest) = line.strip_prefix("<... ").and_then(|rest| rest.split_once("resumed>")) {
            let begun = self.begun.remove(thread).map(|call| Call { text: format!("{}{}", call.text, rest.1), ..call });
            self.done.extend(begun);
        } else if let Some((name, text)) = line.split_once('(').filter(|_| !line.starts_with(['-', '+'])) {
            match text.strip_suffix("<unfinished ...>") {
                Some(text) => drop(self.begun.insert(thread.to_owned(), Call { name: name.into(), text: text.into() })),
                None => self.done.push_back(Call { name: name.into(), text: text.into() }),
            }
        }
        false
    }

    /// Waits until each of its threads stands still.
    fn settle(&self) {
        let since = Instant::now();
        while !self.stands_still() {
            assert!(since.elapsed() < PATIENCE, "the program does not stand still");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let mut stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
        // The name of the program may hold anything, so what follows it is found from the end.
        stats.all(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['t', 'T', 'Z', 'X'])))
    }

    /// Lets it run to its end.
    pub fn end(mut self) -> Run {
        assert!(self.step(&|_| false).is_none());
        Run::of(self.child.wait_with_output().unwrap())
    }

    /// Kills it where it stands, unless it has ended.
    pub fn kill(mut self) {
        if self.child.try_wait().unwrap().is_none() {
            send(self.child.id(), Signal::KILL);
            self.child.wait().unwrap();
        }
    }
}
