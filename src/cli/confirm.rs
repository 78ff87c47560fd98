//! Asking before something is destroyed.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::failure::Failure;
use super::output::Output;
use crate::ops;
use crate::sys::stop::Stop;

/// How often a run that waits for an answer looks whether it was stopped.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asks a question, the plan having been printed; `yes` answers it beforehand.
///
/// # Errors
/// [`Failure::Declined`]; [`Failure::Usage`] when there is nobody to ask; stopped.
pub(super) fn confirm(output: &Output, stop: &Stop, question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(nobody());
    }
    output.ask(&format!("{question} [y/N] "));
    if means_yes(&answer(stop)?) { Ok(()) } else { Err(Failure::Declined) }
}

fn nobody() -> Failure {
    Failure::Usage("this must be confirmed, and there is no terminal to ask at: say --yes, or --dry-run to see the plan alone".into())
}

fn means_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// One line from standard input. It is read by a thread of its own, because a signal does not end a read.
fn answer(stop: &Stop) -> Result<String, Failure> {
    let (give, take) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // An error reads as no answer, and no answer is no.
        let _ = io::stdin().read_line(&mut line);
        let _ = give.send(line);
    });
    loop {
        match take.recv_timeout(LOOK_EVERY) {
            Ok(line) => return Ok(line),
            Err(RecvTimeoutError::Timeout) => stop.check().map_err(ops::Error::from)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(["y\n", "Yes\n", " YES "].iter().all(|text| means_yes(text)));
        assert!(["", "\n", "n\n", "yep\n", "yes please"].iter().all(|text| !means_yes(text)));
    }

    #[test]
    fn without_a_terminal_it_is_refused_as_a_wrong_command_line() {
        assert_eq!(Exit::of(&nobody(), None).code(), 2);
        assert!(nobody().to_string().contains("--yes"));
    }
}
