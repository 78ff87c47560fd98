//! Commands of an operator that are run for what they do: they start and stop services.
//!
//! Other than a [`super::child`], such a command may leave a process behind that goes on, and that keeps what was its output open: so its end
//! alone is waited for. Only a command that does not end is ended, with its process group.

use std::io::{self, PipeReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Error;
use super::stop::Stop;

/// How often it is looked whether it has ended.
const TICK: Duration = Duration::from_millis(50);

/// What is kept of what it says: the end, which names why it gave up.
const SAID_MAX: usize = 4 << 10;

/// How long a command that is told to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its status.
    pub status: ExitStatus,
    /// The last 4 KiB of what it said, on its standard output and error.
    pub said: String,
}

impl Ran {
    /// Whether it ended by itself and says that all went well.
    pub fn is_well(&self) -> bool {
        self.status.success()
    }

    /// How it ended, for a person: exit code or signal, and the last lines that it said.
    pub fn how(&self) -> String {
        let lines: Vec<&str> = self.said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LINES_TOLD)..].join("; ");
        let end = self.status.code().map_or_else(|| "it was ended by a signal".to_owned(), |code| format!("exit code {code}"));
        if last.is_empty() { end } else { format!("{end}; it said: {last}") }
    }
}

/// How much a command may say in a tick without waiting to be read.
const PIPE: usize = 1 << 20;

/// Lines of what it said that an error shows.
const LINES_TOLD: usize = 6;

/// Where programs are looked for without a `PATH`, as `execvp` does it.
const FOLDERS: &str = "/bin:/usr/bin";

/// Whether a program that a command begins with is there, by its path or in a folder of `PATH`, and may be run by somebody.
pub fn is_program(name: &str, variables: &[(&str, String)]) -> bool {
    let is_there = |path: &Path| path.metadata().is_ok_and(|stat| stat.is_file() && stat.mode() & 0o111 != 0);
    if name.contains('/') {
        return is_there(Path::new(name));
    }
    let folders = variables.iter().find(|(variable, _)| *variable == "PATH").map_or(FOLDERS, |(_, folders)| folders.as_str());
    folders.split(':').any(|folder| is_there(&Path::new(folder).join(name)))
}

/// Runs a command to its end. `words` is its name or path and its arguments; `variables` its whole environment.
///
/// # Errors
/// [`Error::Program`] when there is no such program, or it has not ended in `time`; [`Error::Stopped`]. After these the command was ended.
///
/// # Panics
/// When there are no words.
pub fn run(words: &[String], variables: &[(&str, String)], time: Duration, stop: &Stop) -> Result<Ran, Error> {
    let (name, arguments) = words.split_first().expect("a command has a name");
    let failed = |what, cause| Error::Program { what, program: name.clone(), cause };
    let mut said = Said::default();
    let (mut process, mut output) = start(name, arguments, variables).map_err(|cause| failed("start", cause))?;
    let mut waited = Duration::ZERO;
    let status = loop {
        // Also while it runs: it waits for a reader once the pipe is full.
        said.take(&mut output);
        match process.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if stop.is_stopped() || waited >= time => {
                end(&mut process);
                stop.check()?;
                said.take(&mut output);
                let why = format!("it has not ended within {} seconds, and was ended; it said: {}", time.as_secs(), said.text());
                return Err(failed("wait for", io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            Ok(None) => {}
            Err(cause) => return Err(failed("wait for", cause)),
        }
        std::thread::sleep(TICK);
        waited += TICK;
    };
    said.take(&mut output);
    Ok(Ran { status, said: said.text() })
}

/// Starts it, with one pipe for all that it says.
fn start(name: &str, arguments: &[String], variables: &[(&str, String)]) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    rustix::io::ioctl_fionbio(&output, true)?;
    // It is read once in a tick: where the system gives no larger one, a command that says much takes longer.
    let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE);
    #[expect(clippy::disallowed_methods, reason = "this is where commands of an operator start")]
    let mut command = Command::new(name);
    command.args(arguments).env_clear().process_group(0);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    Ok((command.spawn()?, output))
}

/// The end of what a command says.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    /// Takes what there is to be read now. A process that is left behind may say more later, which nobody reads.
    fn take(&mut self, output: &mut PipeReader) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            self.0.extend_from_slice(&buffer[..read]);
            let more = self.0.len().saturating_sub(SAID_MAX);
            self.0.drain(..more);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

fn end(process: &mut Child) {
    let group = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    // A group that has just gone needs no signal.
    let tell = |signal| group.map(|group| kill_process_group(group, signal));
    let _ = tell(Signal::TERM);
    let mut waited = Duration::ZERO;
    while matches!(process.try_wait(), Ok(None)) && waited < GRACE {
        std::thread::sleep(TICK);
        waited += TICK;
    }
    let _ = tell(Signal::KILL);
    let _ = process.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, time: Duration) -> Result<Ran, Error> {
        let words = ["sh", "-c", text].map(str::to_owned);
        run(&words, &[("PATH", "/usr/bin:/bin".into())], time, &Stop::new())
    }

    #[test]
    fn what_a_command_leaves_behind_is_not_waited_for() {
        let ran = shell("echo started; sleep 600 & echo $! >&2; exit 3", Duration::from_secs(60)).unwrap();
        assert_eq!(ran.status.code(), Some(3));
        let pid: i32 = ran.said.lines().last().unwrap().parse().unwrap();
        let left = Pid::from_raw(pid).unwrap();
        rustix::process::test_kill_process(left).expect("it goes on");
        rustix::process::kill_process(left, Signal::KILL).unwrap();
        assert!(ran.how().starts_with("exit code 3; it said: started"), "{}", ran.how());
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_and_says_what_it_had_said() {
        let error = shell("echo almost there; sleep 600", Duration::from_millis(200)).unwrap_err();
        assert!(matches!(&error, Error::Program { cause, .. } if cause.to_string().contains("almost there")), "{error:?}");
    }
}
