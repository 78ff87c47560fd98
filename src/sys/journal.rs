//! Whether what the program says goes to systemd's journal, and what a line is preceded by there.
//!
//! The journal takes the first characters of a line for its priority (sd-daemon(3)), so that `journalctl -p warning` shows what matters.

use std::io;

use super::environment::Environment;

/// How much a line matters, as syslog(3) counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Priority {
    /// The run has failed.
    Error = 3,
    /// Something is not as it should be.
    Warning = 4,
    /// Something was done.
    Info = 6,
    /// A step on the way.
    Debug = 7,
}

impl Priority {
    /// A text with the priority before each of its lines, because each becomes an entry of the journal.
    pub fn before(self, text: &str) -> String {
        let lines: Vec<String> = text.lines().map(|line| format!("<{}>{line}", self as u8)).collect();
        lines.join("\n")
    }
}

/// Whether standard error is a stream of the journal. The variable alone says nothing: it is handed on to whatever a service starts, whose
/// standard error may lead somewhere else.
pub fn takes_stderr(environment: &dyn Environment) -> bool {
    let Some(stream) = environment.var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::environment::FixedEnvironment;

    #[test]
    fn every_line_bears_the_priority_and_a_variable_that_names_another_file_is_none_of_ours() {
        assert_eq!(Priority::Warning.before("a\n  b"), "<4>a\n<4>  b");
        for stream in ["", "1:1", "x"] {
            let environment = FixedEnvironment([("JOURNAL_STREAM".to_owned(), stream.to_owned())].into());
            assert!(!takes_stderr(&environment), "{stream}");
        }
        assert!(!takes_stderr(&FixedEnvironment::default()));
    }
}
