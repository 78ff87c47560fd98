//! The only place that prints. Data goes to standard output, everything else to standard error.
//!
//! A reader that goes away (`windlass list | head`) ends the output, not the work: what cannot be printed any more is dropped.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use serde::Serialize;

use super::exit::Exit;
use super::failure::{self, Failure};
use crate::ops::document::Document;
pub(super) use crate::ops::document::schema;
use crate::sys::environment::SystemEnvironment;
use crate::sys::journal::{self, Priority};

/// How much is said beside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// What was done.
    Normal,
    /// Each step as well.
    Verbose,
}

/// Where everything is printed.
pub(super) struct Output {
    data: Mutex<Data>,
    aside: Mutex<Box<dyn Write + Send>>,
    /// The progress bar that is on the screen, to be taken away while something else is printed.
    bar: Mutex<Option<ProgressBar>>,
    pub(super) json: bool,
    verbosity: Verbosity,
    /// Whether a progress bar makes sense.
    pub(super) interactive: bool,
    /// Whether a journal reads what is beside the data, and takes priorities from its lines.
    journal: bool,
    /// Whether damage was met that the run could get around.
    damage: AtomicBool,
}

struct Data {
    writer: Box<dyn Write + Send>,
    /// Why nothing more can be printed.
    failure: Option<io::Error>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    /// The output of this process.
    pub(super) fn standard(json: bool, verbosity: Verbosity) -> Self {
        let interactive = io::stderr().is_terminal() && !json && verbosity != Verbosity::Quiet;
        let journal = journal::takes_stderr(&SystemEnvironment);
        Self { interactive, journal, ..Self::to(Box::new(io::stdout()), Box::new(io::stderr()), json, verbosity) }
    }

    /// Output to other places.
    pub(super) fn to(data: Box<dyn Write + Send>, aside: Box<dyn Write + Send>, json: bool, verbosity: Verbosity) -> Self {
        let data = Data { writer: data, failure: None };
        let (data, aside, bar) = (Mutex::new(data), Mutex::new(aside), Mutex::default());
        Self { data, aside, bar, json, verbosity, interactive: false, journal: false, damage: AtomicBool::new(false) }
    }

    /// One line of data.
    pub(super) fn line(&self, text: impl Display) {
        self.bytes(format!("{text}\n").as_bytes());
    }

    /// What was done, a line for whoever looks on: not with `-q`, and not with `--json`, where the document says it.
    pub(super) fn done(&self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            self.plan(text);
        }
    }

    /// What would be done: the data of a dry run. Not with `--json`, where the document says it.
    pub(super) fn plan(&self, text: impl Display) {
        if !self.json {
            self.line(text);
        }
    }

    /// Bytes of data.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        // The reason is kept and told at the end.
        let _ = self.write_data(|writer| writer.write_all(bytes));
    }

    fn write_data<T>(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        self.aside_of_bar(|| {
            let mut data = locked(&self.data);
            if let Some(failure) = &data.failure {
                return Err(failure.kind().into());
            }
            write(&mut *data.writer).inspect_err(|cause| data.failure = Some(io::Error::new(cause.kind(), cause.to_string())))
        })
    }

    /// Fails once nobody takes the data any more, so that producing more of it is in vain.
    pub(super) fn check(&self) -> Result<(), crate::ops::Error> {
        match &locked(&self.data).failure {
            Some(cause) => Err(crate::ops::Error::file("write to", "standard output")(cause.kind().into())),
            None => Ok(()),
        }
    }

    /// How a command ended that only produces data: once the reader has gone away, its failure to print the rest is none.
    pub(super) fn streamed(&self, outcome: Result<(), crate::ops::Error>) -> Result<Exit, Failure> {
        match (outcome, &locked(&self.data).failure) {
            (Err(_), Some(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            (outcome, _) => Ok(outcome.map(|()| Exit::Done)?),
        }
    }

    /// A writer of data for whoever produces it piece by piece.
    pub(super) fn stream(&self) -> Stream<'_> {
        Stream(self)
    }

    /// A JSON document of this kind, such as `show`.
    pub(super) fn document<T: Serialize>(&self, kind: &str, body: &T) {
        self.long_document(kind, body).unwrap_or_else(|error| unreachable!("what is printed is plain JSON: {error}"));
    }

    /// A JSON document of this kind, such as `list`, whose body is read while it is printed.
    ///
    /// # Errors
    /// What the body gives; the document is cut off there.
    pub(super) fn long_document<T: Serialize>(&self, kind: &str, body: &T) -> Result<(), serde_json::Error> {
        let document = Document::new(kind, body);
        // As it is made: a document may tell of thousands of snapshots.
        let written = self.write_data(|writer| {
            let mut writer = BufWriter::new(writer);
            let made = match serde_json::to_writer(&mut writer, &document) {
                Err(error) if error.is_io() => return Err(error.into()),
                made => made,
            };
            writer.write_all(b"\n")?;
            writer.flush()?;
            Ok(made)
        });
        // Why nothing can be printed any more is kept and told at the end.
        written.unwrap_or(Ok(()))
    }

    /// Something that was done, for a person; not with `-q`, and not with `--json`, where the document says it.
    pub(super) fn note(&self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal && !self.json {
            self.aside(Priority::Info, &text.to_string());
        }
    }

    /// A step on the way, with `-v`.
    pub(super) fn detail(&self, text: impl Display) {
        if self.verbosity == Verbosity::Verbose && !self.json {
            self.aside(Priority::Debug, &text.to_string());
        }
    }

    /// Something that is not as it should be.
    pub(super) fn warning(&self, text: impl Display) {
        if self.json {
            self.event(&serde_json::json!({ "event": "warning", "source": null, "message": text.to_string() }));
        } else {
            self.aside(Priority::Warning, &format!("warning: {text}"));
        }
    }

    /// Damage was met: whatever else the run does, it does not end as one that found all sound.
    pub(super) fn note_damage(&self) {
        self.damage.store(true, Ordering::Relaxed);
    }

    /// Whether damage was met.
    pub(super) fn met_damage(&self) -> bool {
        self.damage.load(Ordering::Relaxed)
    }

    /// One event as a line of JSON.
    pub(super) fn event(&self, event: &impl Serialize) {
        let line = serde_json::to_string(event).expect("an event is plain JSON");
        let priority = if self.journal { priority_of(&line) } else { Priority::Info };
        self.aside(priority, &line);
    }

    /// Whether each step is told.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// A question, without a newline after it.
    pub(super) fn ask(&self, question: &str) {
        self.aside_of_bar(|| {
            let mut aside = locked(&self.aside);
            let _ = write!(aside, "{question}").and_then(|()| aside.flush());
        });
    }

    /// A failure with its causes and what may help.
    pub(super) fn failure(&self, failure: &Failure, exit: Exit) {
        self.error(&failure.to_string(), &failure.causes(), failure.hint(), exit);
    }

    /// A verb's error where the run goes on with other work.
    pub(super) fn op_error(&self, what: impl Display, error: &crate::ops::Error, exit: Exit) {
        self.error(&format!("{what}: {error}"), &failure::causes(error), failure::hint(error), exit);
    }

    fn error(&self, message: &str, causes: &[String], hint: Option<&str>, exit: Exit) {
        if self.json {
            let event = serde_json::json!({
                "event": "error", "message": message, "causes": causes, "hint": hint, "exit_code": exit.code(),
            });
            return self.event(&event);
        }
        let mut text = format!("error: {message}");
        causes.iter().for_each(|cause| text.push_str(&format!("\n  because: {cause}")));
        hint.iter().for_each(|hint| text.push_str(&format!("\n  help: {hint}")));
        self.aside(Priority::Error, &text);
    }

    /// Beside the data; when standard error is gone there is nobody left to tell.
    fn aside(&self, priority: Priority, text: &str) {
        let text = if self.journal { &priority.before(text) } else { text };
        self.aside_of_bar(|| {
            let _ = writeln!(locked(&self.aside), "{text}");
        });
    }

    fn aside_of_bar<T>(&self, write: impl FnOnce() -> T) -> T {
        let bar = locked(&self.bar).clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says which progress bar is on the screen.
    pub(super) fn set_bar(&self, bar: Option<ProgressBar>) {
        *locked(&self.bar) = bar;
    }

    /// Flushes the data and says whether all of it was taken. A reader that went away on purpose is no failure.
    pub(super) fn finish(&self) -> io::Result<()> {
        let _ = self.write_data(|writer| writer.flush());
        match locked(&self.data).failure.take() {
            Some(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(cause),
            _ => Ok(()),
        }
    }
}

/// How much an event of JSON matters.
fn priority_of(line: &str) -> Priority {
    let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    match event["event"].as_str() {
        Some("error") => Priority::Error,
        Some("warning" | "damage" | "problem") => Priority::Warning,
        Some("phase") => Priority::Debug,
        _ => Priority::Info,
    }
}

/// Prints what clap has to say: help and version as data, what is wrong as an error.
pub(super) fn clap_message(error: &clap::Error) -> Exit {
    // Nobody is left to tell when this cannot be printed.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// See [`Output::stream`].
pub(super) struct Stream<'a>(&'a Output);

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_data(|writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.write_data(|writer| writer.flush())
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
pub(super) mod tests;
