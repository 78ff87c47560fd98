//! What is live after an exchange of databases that has failed, and what is to be done, in words.

use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::undo::PendingExchange;
use crate::ops::undo::databases::Bench;
use crate::ops::{Context, Error};
use crate::sys::stop::Stop;

/// After an exchange that could be taken back; one that makes a database of another name touches no other.
pub(super) fn of_taken_back(pending: &PendingExchange) -> &'static str {
    if pending.is_look {
        "nothing that is live was touched"
    } else {
        "the exchange was taken back, and what was live before it is live again, but for what a warning names"
    }
}

/// The same of one that could not; `None` stands for a server that does not tell which tables are live.
fn told(source: &str, has_come: Option<bool>) -> String {
    let state = match has_come {
        Some(true) => {
            "the tables that were to come are live, those that were live before lie aside, and views, triggers, routines and events may be missing"
        }
        Some(false) => {
            "the tables that were live before are live again, and some of their views, triggers, routines and events are missing"
        }
        None => "which tables are live now is not known, because the server does not tell",
    };
    format!("{state}; the next command on the source (`windlass snapshot {source}`) settles it, and until then `windlass status` says so")
}

/// What is live after an exchange that could neither be finished nor taken back.
pub(super) fn of_stuck(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, pending: &PendingExchange) -> String {
    let no_stop = Stop::new();
    let asked = Bench::new(ctx).and_then(|bench| pending.exchange.has_come(bench.around(settings, &no_stop)).map_err(Error::from));
    told(spec.name.as_str(), asked.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_tables_are_live_is_told_with_the_command_that_settles_it() {
        for (has_come, begins) in [
            (Some(true), "the tables that were to come are live"),
            (Some(false), "the tables that were live before are live again"),
            (None, "which tables are live now is not known"),
        ] {
            let text = told("ellis", has_come);
            assert!(text.starts_with(begins) && text.contains("`windlass snapshot ellis`"), "{text}");
        }
    }
}
