//! Programs of others, as child processes.
//!
//! A program is started from its words, never through a shell, in a process group of its own and with an environment that is named
//! variable by variable. What it says on its standard error is kept up to a bound. When the run is stopped, or the value is dropped, the
//! whole group ends. Nothing secret may be among the words: every user of the machine can read them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::Error;
use super::stop::Stop;

/// How long is waited at once, between two looks at the stop flag.
const TICK: Duration = Duration::from_millis(100);

/// What is kept of a program's standard error: its beginning, which names the first mistake.
const SAID_MAX: usize = 16 << 10;

/// How long a program may take to end once it has closed its output; then it is ended.
const END_MAX: Duration = Duration::from_secs(60);

/// How long a process group that is told to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What the pipe to a program's standard input holds where the system allows it: an ordinary user's largest. The more it holds, the fewer
/// times the two wait for each other.
const PIPE_SIZE: usize = 1 << 20;

/// A running program.
#[derive(Debug)]
pub struct Child {
    process: Process,
    name: String,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    said: Option<JoinHandle<Vec<u8>>>,
    heard: Option<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    stop: Stop,
    silence: Duration,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// What it said on its standard error, at most its first 16 KiB.
    pub said: String,
}

impl Ended {
    /// Whether it ended by itself and says that all went well.
    pub fn is_well(&self) -> bool {
        self.status.success()
    }

    /// Whether it may have said more than was kept.
    pub fn is_cut(&self) -> bool {
        self.said.len() >= SAID_MAX
    }

    /// How it ended, for a person: the exit code or the signal, and what it said.
    pub fn how(&self) -> String {
        let mut text = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        };
        let said = self.said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        if !said.is_empty() {
            let _ = write!(text, "; it said: {said}");
        }
        text
    }
}

impl Child {
    /// Starts a program. `words` is its name or path and its arguments; `variables` is its whole environment. With `input` its standard
    /// input is a pipe for [`Child::write`], else it is empty. `silence` is how long [`Child::read`] waits for the next byte.
    ///
    /// # Errors
    /// [`Error::Program`] naming the program, also when there is none of this name.
    ///
    /// # Panics
    /// When there are no words.
    pub fn start(words: &[String], variables: &[(&str, String)], input: bool, silence: Duration, stop: &Stop) -> Result<Self, Error> {
        let input = if input { Stdio::piped() } else { Stdio::null() };
        Self::spawn(words, variables, (input, Stdio::piped()), silence, stop)
    }

    /// Starts a program that is written to. What it writes to its standard output is handed to `hear` as it comes, on a thread of its own, so that
    /// it waits for no reader; all of it has been when [`Child::finish_within`] returns. `silence` is how long [`Child::write`] waits until it takes
    /// the next byte.
    ///
    /// # Errors
    /// As [`Child::start`].
    ///
    /// # Panics
    /// When there are no words.
    pub fn feed(
        words: &[String],
        variables: &[(&str, String)],
        silence: Duration,
        hear: impl FnMut(&[u8]) + Send + 'static,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let mut child = Self::spawn(words, variables, (Stdio::piped(), Stdio::piped()), silence, stop)?;
        if let Some(stdout) = child.stdout.take() {
            let over = Arc::clone(&child.over);
            let heard = std::thread::Builder::new().name("stdout".into()).spawn(move || listen(stdout, &over, hear));
            child.heard = Some(heard.map_err(|cause| child.failed("listen to", cause))?);
        }
        Ok(child)
    }

    /// Starts a program that reads this file to its end, and whose output goes nowhere.
    ///
    /// # Errors
    /// As [`Child::start`].
    ///
    /// # Panics
    /// When there are no words.
    pub fn read_from(input: File, words: &[String], variables: &[(&str, String)], stop: &Stop) -> Result<Self, Error> {
        Self::spawn(words, variables, (input.into(), Stdio::null()), Duration::ZERO, stop)
    }

    fn spawn(
        words: &[String],
        variables: &[(&str, String)],
        (input, output): (Stdio, Stdio),
        silence: Duration,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let (name, arguments) = words.split_first().expect("a program has a name");
        #[expect(clippy::disallowed_methods, reason = "this is where child processes start")]
        let mut command = Command::new(name);
        command.args(arguments).env_clear().process_group(0);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(input).stdout(output).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|cause| Error::Program { what: "start", program: name.clone(), cause })?;
        let over = Arc::new(AtomicBool::new(false));
        let (stderr, flag) = (process.stderr.take(), Arc::clone(&over));
        let said =
            std::thread::Builder::new().name("stderr".into()).spawn(move || stderr.map(|stderr| gather(stderr, &flag)).unwrap_or_default());
        let mut child = Self {
            stdin: process.stdin.take(),
            stdout: process.stdout.take(),
            process,
            name: name.clone(),
            said: None,
            heard: None,
            over,
            stop: stop.clone(),
            silence,
        };
        child.said = Some(said.map_err(|cause| child.failed("listen to", cause))?);
        if let Some(stdin) = &child.stdin {
            // Our end alone: the program's own end of the pipe waits as ever.
            rustix::io::ioctl_fionbio(stdin, true).map_err(|cause| child.failed("prepare to write to", cause.into()))?;
            // A user who has many pipes gets no larger ones; this one does as it is.
            let _ = rustix::pipe::fcntl_setpipe_size(stdin, PIPE_SIZE);
        }
        Ok(child)
    }

    /// Its process id, which is also that of its group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it writes something, or ends its output, within this time; then [`Child::read`] does not wait.
    ///
    /// # Errors
    /// As [`Child::read`].
    pub fn speaks_within(&self, time: Duration) -> Result<bool, Error> {
        let mut waited = Duration::ZERO;
        while let Some(stdout) = &self.stdout {
            self.stop.check()?;
            if is_ready(stdout, PollFlags::IN).map_err(|cause| self.failed("read from", cause))? {
                break;
            }
            waited += TICK;
            if waited >= time {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads what it writes to its standard output; 0 at the end.
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::Program`], also when it has given nothing for as long as it may be silent.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut waited = Duration::ZERO;
        loop {
            self.stop.check()?;
            let Some(stdout) = &mut self.stdout else { return Ok(0) };
            if is_ready(&*stdout, PollFlags::IN).map_err(|cause| self.failed("read from", cause))? {
                match self.stdout.as_mut().map_or(Ok(0), |stdout| stdout.read(buffer)) {
                    Ok(0) => {
                        self.stdout = None;
                        return Ok(0);
                    }
                    Ok(read) => return Ok(read),
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                    Err(cause) => return Err(self.failed("read from", cause)),
                }
            } else {
                waited += TICK;
                if waited >= self.silence {
                    let why = format!("it has given nothing for {} seconds", waited.as_secs());
                    return Err(self.failed("read from", io::Error::new(io::ErrorKind::TimedOut, why)));
                }
            }
        }
    }

    /// Writes to its standard input. False when it does not read any more; how it ended tells why.
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::Program`], also when it has taken nothing for as long as it may be silent.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<bool, Error> {
        let mut waited = Duration::ZERO;
        while !bytes.is_empty() {
            self.stop.check()?;
            let Some(stdin) = &mut self.stdin else { return Ok(false) };
            match stdin.write(bytes) {
                Ok(written) => {
                    bytes = &bytes[written..];
                    waited = Duration::ZERO;
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    if is_ready(&*stdin, PollFlags::OUT).map_err(|cause| self.failed("write to", cause))? {
                        continue;
                    }
                    waited += TICK;
                    if waited >= self.silence {
                        let why = format!("it has taken nothing for {} seconds", waited.as_secs());
                        return Err(self.failed("write to", io::Error::new(io::ErrorKind::TimedOut, why)));
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                Err(cause) => return Err(self.failed("write to", cause)),
            }
        }
        Ok(true)
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end, which comes soon after that of its output.
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::Program`] when it does not end.
    pub fn finish(self) -> Result<Ended, Error> {
        self.finish_within(END_MAX)
    }

    /// Ends its standard input and waits for its end, for a program that has work to do until then.
    ///
    /// # Errors
    /// As [`Child::finish`].
    pub fn finish_within(mut self, time: Duration) -> Result<Ended, Error> {
        self.stdin = None;
        self.stdout = None;
        let mut waited = Duration::ZERO;
        let status = loop {
            self.stop.check()?;
            match self.process.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if waited >= time => {
                    return Err(self.failed("wait for", io::Error::new(io::ErrorKind::TimedOut, "it does not end")));
                }
                Ok(None) => {}
                Err(cause) => return Err(self.failed("wait for", cause)),
            }
            // Short at first: most programs have ended already.
            let pause = if waited < TICK { Duration::from_millis(2) } else { TICK };
            std::thread::sleep(pause);
            waited += pause;
        };
        Ok(Ended { status, said: self.said() })
    }

    /// What it has said; its process has ended.
    fn said(&mut self) -> String {
        self.over.store(true, Ordering::SeqCst);
        if let Some(heard) = self.heard.take() {
            // A thread that has panicked has said so.
            let _ = heard.join();
        }
        let said = self.said.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn failed(&self, what: &'static str, cause: io::Error) -> Error {
        Error::Program { what, program: self.name.clone(), cause }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stdin = None;
        self.stdout = None;
        if let Ok(Some(_)) = self.process.try_wait() {
            self.over.store(true, Ordering::SeqCst);
            return;
        }
        let group = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        // A group that has just gone needs no signal, so what this answers does not matter.
        let tell = |signal| group.map(|group| kill_process_group(group, signal));
        let _ = tell(Signal::TERM);
        let mut waited = Duration::ZERO;
        while matches!(self.process.try_wait(), Ok(None)) && waited < GRACE {
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
        }
        let _ = tell(Signal::KILL);
        let _ = self.process.wait();
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Whether a pipe can be read or written, or has ended, within a tick.
fn is_ready(pipe: &impl AsFd, flags: PollFlags) -> io::Result<bool> {
    let mut wanted = [PollFd::new(pipe, flags)];
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    match poll(&mut wanted, Some(&tick)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// Reads a program's standard error; keeps the beginning.
fn gather(stderr: std::process::ChildStderr, over: &AtomicBool) -> Vec<u8> {
    let mut kept = Vec::new();
    listen(stderr, over, |bytes| kept.extend_from_slice(&bytes[..bytes.len().min(SAID_MAX - kept.len())]));
    kept
}

/// Reads to the end, or until the program is over and nothing more is there.
fn listen(mut pipe: impl Read + AsFd, over: &AtomicBool, mut hear: impl FnMut(&[u8])) {
    let mut buffer = [0; 4096];
    loop {
        match is_ready(&pipe, PollFlags::IN) {
            Ok(true) => match pipe.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => hear(&buffer[..read]),
            },
            Ok(false) if over.load(Ordering::SeqCst) => return,
            Ok(false) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
