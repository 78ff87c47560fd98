//! Why the client has failed, and which statement by.

use super::trail::Trail;
use crate::source::Error;
use crate::source::mysql::connection::full;
use crate::source::mysql::denied;
use crate::source::mysql::object::ObjectKind;
use crate::sys::child::Ended;

/// What the server answers where it has to look into a view, or call a function, that runs in the name of nobody it knows.
const NO_DEFINER: u16 = 1449;

/// How the client begins what went wrong.
const ERROR: &str = "ERROR";

/// What it writes before the line of what it was given.
const AT_LINE: &str = " at line ";

/// Longest text of the server's that is passed on.
const TOLD_MAX: usize = 1000;

/// What an error begins with where the client has ended and said nothing of the server.
const ENDED: &str = "the client has ended here or a little before";

/// Codes for a server that is not there any more.
const GONE: [&str; 4] = ["2002", "2006", "2013", "2055"];

/// The error for a client that has ended before its time, or not well. `bytes` of the file had been read by then.
pub(super) fn failure(ended: &Ended, trail: &Trail, bytes: u64) -> Error {
    let Some(said) = ended.said.find(ERROR).map(|at| &ended.said[at + ERROR.len()..]) else {
        let (line, head) = trail.now();
        let how = if ended.is_well() { "it took no more".to_owned() } else { ended.how() };
        return Error::Load { line, head, why: format!("{ENDED}, after {bytes} bytes of the file: {how}") };
    };
    of_statement(said, trail, bytes).0
}

/// Whether the client has ended without a word of the server, as one does that the system has ended.
pub(in crate::source::mysql) fn is_of_client(error: &Error) -> bool {
    matches!(error, Error::Load { why, .. } if why.starts_with(ENDED))
}

/// A statement that a client which goes on after errors could not run.
#[derive(Debug)]
pub struct Unmade {
    /// The line of the file.
    pub line: u64,
    /// What it would have made, where it makes a view, trigger, event or routine.
    pub makes: Option<(ObjectKind, String)>,
    /// Why not.
    pub error: Error,
}

/// What such a client says of single statements, in their order.
pub(super) fn unmade(ended: &Ended, trail: &Trail, bytes: u64) -> Vec<Unmade> {
    let each = ended.said.split('\n').fold(Vec::new(), |mut each: Vec<String>, line| {
        match (line.strip_prefix(ERROR), each.last_mut()) {
            (Some(said), _) => each.push(said.to_owned()),
            // What the server says may have several lines.
            (None, Some(last)) => *last = format!("{last}\n{line}"),
            (None, None) => {}
        }
        each
    });
    let last = each.len();
    let of = |(at, said): (usize, &String)| {
        let (mut error, given) = of_statement(said, trail, bytes);
        if at + 1 == last && ended.is_cut() {
            error = error.adding("others may have been refused too: the client said more than is kept of it");
        }
        Unmade { line: given.map_or(0, |given| trail.find(given).0), makes: given.and_then(|given| trail.made(given)), error }
    };
    each.iter().enumerate().map(of).collect()
}

/// The error for what a client says after the word `ERROR`, and the line that it was given.
fn of_statement(said: &str, trail: &Trail, bytes: u64) -> (Error, Option<u64>) {
    let (before, text) = said.split_once(": ").unwrap_or((said, ""));
    let (code, given) = match before.split_once(AT_LINE) {
        Some((code, rest)) => (code, rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|line| line.parse().ok())),
        None => (before, None),
    };
    let (line, head) = given.map_or_else(|| trail.now(), |given| trail.find(given));
    let text: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text: String = text.join(" ").chars().take(TOLD_MAX).collect();
    let gone = if GONE.iter().any(|gone| code.trim_start().starts_with(gone)) {
        format!("; the server went away, after {bytes} bytes of the file had been read")
    } else {
        String::new()
    };
    let number: Option<u16> = code.trim_start().split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse().ok());
    let denied = number.and_then(|number| denied::grant(number, &text, &head));
    let denied = denied.map(|grant| format!("; {grant} TO this account, and run it again")).unwrap_or_default();
    let nobody = match number {
        Some(NO_DEFINER) => "; make that account first, or name another in its place with `--definer USER@HOST=USER@HOST`",
        _ => "",
    };
    let full = number.and_then(|number| full(number, &text)).map(|full| format!("; {full}")).unwrap_or_default();
    (Error::Load { line, head, why: format!("{ERROR}{code}: {text}{gone}{full}{denied}{nobody}") }, given)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn told(status: i32, said: &str) -> (u64, String) {
        let mut trail = Trail::default();
        for (line, text) in [(10, "SET a=1;\n"), (40, "INSERT INTO t VALUES (1);\n")] {
            trail.at(line, text.as_bytes());
            trail.begin();
            trail.give(text.as_bytes());
        }
        match failure(&Ended { status: ExitStatus::from_raw(status), said: said.into() }, &trail, 7) {
            Error::Load { line, why, .. } => (line, why),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_clients_line_becomes_that_of_the_file() {
        assert_eq!(
            told(256, "ERROR 1064 (42000) at line 1: near 'x\ny' at line 1\n"),
            (10, "ERROR 1064 (42000): near 'x y' at line 1".into())
        );
        let warned = "Warning: mariadb: unknown option\nERROR 1146 (42S02) at line 2: Table 'a.t' doesn't exist\n";
        assert_eq!(told(256, warned), (40, "ERROR 1146 (42S02): Table 'a.t' doesn't exist".into()));
    }

    #[test]
    fn each_statement_that_a_client_went_past_is_told_with_what_it_makes() {
        let mut trail = Trail::default();
        trail.keeps_names = true;
        for (line, text, name) in [(10, "CREATE VIEW `a` AS SELECT 1;\n", "a"), (20, "CREATE VIEW `b` AS\nSELECT 2;\n", "b")] {
            trail.at(line, text.as_bytes());
            trail.begin();
            trail.give(text.as_bytes());
            trail.makes(ObjectKind::View, name);
        }
        let said = "Warning: x\nERROR 1142 (42000) at line 1: SELECT command denied to user 'u'@'h' for table `o`.`t`\nERROR 1356 (HY000) at line \
                    3: near 'x\ny'\n";
        let unmade = unmade(&Ended { status: ExitStatus::from_raw(256), said: said.into() }, &trail, 7);
        let told: Vec<String> = unmade.iter().map(|one| format!("{} {:?} {}", one.line, one.makes, one.error)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("10 Some((View, \"a\"))") && told[0].contains("GRANT SELECT ON `o`.`t` TO this account"), "{told:?}");
        assert!(told[1].starts_with("20 Some((View, \"b\"))") && told[1].ends_with("ERROR 1356 (HY000): near 'x y'"), "{told:?}");
        let said = "ERROR 1356 (HY000) at line 1: it is invalid\n".repeat(1000);
        let unmade = super::unmade(&Ended { status: ExitStatus::from_raw(256), said }, &trail, 7);
        assert!(unmade.last().unwrap().error.to_string().ends_with("more than is kept of it"), "{:?}", unmade.last());
        assert!(!unmade[0].error.to_string().contains("kept"), "{:?}", unmade[0]);
    }

    #[test]
    fn a_server_or_a_client_that_is_gone_is_told_with_how_far_it_got() {
        let (line, why) = told(256, "ERROR 2013 (HY000) at line 2: Lost connection to server during query\n");
        assert_eq!((line, why.as_str()), {
            let wanted =
                "ERROR 2013 (HY000): Lost connection to server during query; the server went away, after 7 bytes of the file had been read";
            (40, wanted)
        });
        let (line, why) = told(9, "");
        assert_eq!(line, 40);
        assert_eq!(why, "the client has ended here or a little before, after 7 bytes of the file: killed by signal 9");
        assert!(told(256, "ERROR 1049 (42000): Unknown database 'x'").1.starts_with("ERROR 1049 (42000): Unknown"));
        assert!(told(0, "").1.ends_with("it took no more"));
    }

    #[test]
    fn a_definer_that_is_nobody_is_told_with_the_ways_out() {
        let (_, why) = told(256, "ERROR 1449 (HY000) at line 2: The user specified as a definer ('app'@'localhost') does not exist\n");
        assert!(why.contains("make that account first") && why.ends_with("`--definer USER@HOST=USER@HOST`"), "{why}");
    }

    #[test]
    fn a_full_disk_of_the_server_is_said_in_words() {
        let (line, why) = told(256, "ERROR 1114 (HY000) at line 2: The table 't' is full\n");
        assert!(line == 40 && why.contains("'t' is full; the server has no room for the table"), "{why}");
        assert!(
            told(256, "ERROR 1180 (HY000) at line 2: Got error 28 \"No space left on device\" during COMMIT").1.contains("make room there")
        );
    }
}
