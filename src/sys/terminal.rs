//! Asking a person for a secret at the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::secret::Secret;
use super::stop::Stop;

/// How often a run that waits for an answer looks whether it was stopped.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asks for a secret at the terminal that the program runs in, wherever standard input comes from; what is typed is not shown.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] when there is no terminal, [`io::ErrorKind::Interrupted`] when the run was asked to stop.
pub fn ask_secret(question: &str, stop: &Stop) -> io::Result<Secret> {
    let nobody = |_| io::Error::new(io::ErrorKind::NotFound, "there is no terminal to ask at");
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(nobody)?;
    let silent = Silent::begin(terminal.try_clone()?)?;
    terminal.write_all(question.as_bytes())?;
    let answer = line(terminal.try_clone()?, stop);
    drop(silent);
    // The Enter key was not shown either.
    terminal.write_all(b"\n")?;
    answer
}

/// One line. It is read by a thread of its own, because a signal does not end a read.
fn line(terminal: File, stop: &Stop) -> io::Result<Secret> {
    let (give, take) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(terminal).read_line(&mut line).map(|_| Secret::new(line.trim_end_matches(['\r', '\n'])));
        let _ = give.send(read);
    });
    loop {
        match take.recv_timeout(LOOK_EVERY) {
            Ok(read) => return read,
            Err(RecvTimeoutError::Timeout) => stop.check().map_err(|_| io::ErrorKind::Interrupted)?,
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A terminal that does not show what is typed, until the value is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn begin(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSANOW, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // There is nothing better to do about a terminal that has gone.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
