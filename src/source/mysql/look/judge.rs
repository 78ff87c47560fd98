//! Whether a dump can be put on a server: what stands in the way, and what a person should know.

use std::collections::BTreeMap;

use super::{Present, PresentDatabase, names};
use crate::source::Error;
use crate::source::mysql::demands::Demands;
use crate::source::mysql::facts::Facts;
use crate::source::mysql::object::quoted;

/// What a packet holds besides a statement: a byte or two, rounded up.
const PACKET_SLACK: u64 = 64;

/// The most that any server takes in one packet.
const PACKET_MAX: u64 = 1 << 30;

/// To which a limit is rounded up: what people write.
const MIB: u64 = 1 << 20;

/// What lets triggers and functions be made.
const TRUST: &str = "SET GLOBAL log_bin_trust_function_creators = 1";

/// Most things of one kind that are named in a text.
const NAMED: usize = 10;

/// What the limit of a packet has to be so that a statement of so many bytes fits; `None` where it does as it is.
pub(in crate::source::mysql) fn needed_packet(bytes: u64, limit: u64) -> Option<u64> {
    let needed = bytes.saturating_add(PACKET_SLACK).min(PACKET_MAX);
    (limit < needed).then(|| needed.next_multiple_of(MIB))
}

impl Present {
    /// What a person should know before the databases are exchanged for those of a dump, whose facts these are, if they are known.
    /// `definers` says in whose name things are made instead (`user@host` to `user@host`). Nothing is asked.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that is in the way, and what to do about it.
    pub fn judge(&self, facts: Option<&Facts>, definers: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
        self.judged(facts, definers, false)
    }

    /// The same where the databases are new, and nothing is set aside. They too are loaded into databases beside them first.
    ///
    /// # Errors
    /// As [`Present::judge`], and when one of them is there.
    pub fn judge_new(&self, facts: Option<&Facts>, definers: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
        self.judged(facts, definers, true)
    }

    fn judged(&self, facts: Option<&Facts>, definers: &BTreeMap<String, String>, is_new: bool) -> Result<Vec<String>, Error> {
        let (mut refused, mut warnings) = (Vec::new(), Vec::new());
        if self.is_read_only {
            refused.push("it takes no changes (read_only): restore on the server that it follows, or SET GLOBAL read_only = 0".to_owned());
        }
        self.judge_rights(&mut refused, &mut warnings);
        if let Some(facts) = facts {
            self.judge_facts(facts, &mut refused, &mut warnings);
            self.judge_definers(facts, definers, &mut refused, &mut warnings);
        } else if !self.allowed.may_create_functions {
            warnings.push(format!(
                "the server has a binary log, and the account has no SUPER: triggers and functions of the dump are refused before {TRUST}"
            ));
        }
        if is_new {
            let there = self.databases.iter().filter(|database| database.exists);
            refused.extend(there.map(|database| format!("there is a database {}: choose another name", quoted(&database.name))));
        } else {
            self.warn_of_use(&mut warnings);
            for database in &self.databases {
                self.warn_of_ties(database, &mut warnings);
            }
            if !self.allowed.sees_all_databases {
                warnings.push(format!(
                    "`{}` does not see all databases: foreign keys of tables that it does not see are not looked for, and would go on \
                     pointing to what was replaced",
                    self.allowed.account
                ));
            }
        }
        if refused.is_empty() {
            return Ok(warnings);
        }
        Err(Error::Refused { why: format!("{}: {}", self.server, refused.join("; ")) })
    }

    fn judge_rights(&self, refused: &mut Vec<String>, warnings: &mut Vec<String>) {
        let mut lacking = self.allowed.lacking.clone();
        lacking.extend_from_slice(&self.allowed.lacking_beside);
        if !lacking.is_empty() {
            let statements = told(&lacking, "; ");
            if self.allowed.is_unclear {
                warnings.push(format!(
                    "the account has rights by roles, or such as are not understood here; if it stops for want of a right: {statements}"
                ));
            } else {
                refused.push(format!("the account lacks rights that a restore needs: {statements}"));
            }
        }
    }

    fn judge_facts(&self, facts: &Facts, refused: &mut Vec<String>, warnings: &mut Vec<String>) {
        let longest = facts.longest_statement;
        if longest >= PACKET_MAX {
            refused.push(format!("a statement of the dump has {longest} bytes, and no server takes more than {PACKET_MAX} in one"));
        } else if let Some(enough) = needed_packet(longest, self.packet_limit) {
            let limit = self.packet_limit;
            refused.push(format!(
                "it takes {limit} bytes in one packet, and a statement of the dump has {longest}: SET GLOBAL max_allowed_packet = {enough}"
            ));
        }
        match names::compare(facts, &self.lower_case_table_names) {
            Ok(known) => warnings.extend(known),
            Err(why) => refused.push(why),
        }
        let flavour = if self.is_mariadb { "mariadb" } else { "mysql" };
        if facts.flavour != flavour {
            let (here, there) = (named_flavour(flavour), named_flavour(&facts.flavour));
            warnings.push(format!(
                "the dump is of {there} {}, the server is {here} {}: not everything means the same",
                facts.version, self.version
            ));
        } else if release(&self.version) < release(&facts.version) {
            warnings.push(format!(
                "the server is older ({}) than that of the dump ({}): it may not know all of it",
                self.version, facts.version
            ));
        }
    }

    /// What a person should know where the server's data directory has less room than what comes takes beside what is there.
    pub fn tell_room(&self, bytes: u64) -> Option<String> {
        let free = self.free_bytes.filter(|free| *free < bytes)?;
        let (free, bytes) = (free / MIB, bytes.div_ceil(MIB));
        Some(format!(
            "the data directory of the server has {free} MiB free, and what comes takes about {bytes} MiB there beside what is there now: it may \
             not fit"
        ))
    }

    fn judge_definers(&self, facts: &Facts, definers: &BTreeMap<String, String>, refused: &mut Vec<String>, warnings: &mut Vec<String>) {
        let mut wanted: Vec<String> = facts.definers.iter().map(|definer| definers.get(definer).unwrap_or(definer).clone()).collect();
        wanted.sort();
        wanted.dedup();
        match &self.accounts {
            Some(_) => warnings.extend(self.tell_missing(&wanted)),
            None if !wanted.is_empty() => warnings.push(format!(
                "`{}` may not read mysql.user, so it is not known whether the definers exist here: {}",
                self.allowed.account,
                told(&wanted, ", ")
            )),
            None => {}
        }
        let demands = Demands { definers: wanted, creations: facts.triggers_and_functions, undeclared: facts.undeclared_functions };
        let denied = self.denied(&demands);
        if self.allowed.is_unclear {
            warnings.extend(denied)
        } else {
            refused.extend(denied)
        }
        refused.extend(self.undeclared(&demands));
    }

    /// That definitions can be made which ask for this; `what` they are is told in the refusal. What a person should know, where rights by
    /// roles make it unclear.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check(&self, what: &str, demands: &Demands) -> Result<Vec<String>, Error> {
        let mut denied = self.denied(demands);
        let undeclared = self.undeclared(demands);
        if undeclared.is_none() && (denied.is_empty() || self.allowed.is_unclear) {
            return Ok(denied);
        }
        denied.extend(undeclared);
        Err(Error::Refused { why: format!("{}: of {what}, {}", self.server, denied.join("; ")) })
    }

    /// Names those of these definers that are no account here, as far as that can be known.
    pub fn tell_missing(&self, definers: &[String]) -> Option<String> {
        let missing = self.accounts.as_ref()?.missing(definers);
        (!missing.is_empty()).then(|| {
            let missing = told(&missing, ", ");
            format!("definers that are no account here: {missing}; what runs in their name will fail until they exist or are mapped, and a view that stands on such a view cannot be made at all: then the restore is taken back")
        })
    }

    /// What of it the server lets nobody do.
    fn undeclared(&self, demands: &Demands) -> Option<String> {
        let count = demands.undeclared;
        (count > 0 && !self.allowed.trusts_creators).then(|| {
            format!(
                "the server has a binary log and lets nobody make functions that do not say how they use data (DETERMINISTIC, NO SQL, READS \
                 SQL DATA), of which there are {count}: {TRUST}"
            )
        })
    }

    /// What of it the account may not do.
    fn denied(&self, demands: &Demands) -> Vec<String> {
        let allowed = &self.allowed;
        let mut denied = Vec::new();
        // A role is one's own where it is active, which is not known here.
        let is_other = |definer: &&String| definer.contains('@') && !definer.eq_ignore_ascii_case(&allowed.account);
        let others: Vec<String> = demands.definers.iter().filter(is_other).cloned().collect();
        if !others.is_empty() && !allowed.may_define {
            let (account, others) = (&allowed.account, told(&others, ", "));
            denied.push(format!("`{account}` may not make things in the name of {others}: {}, or map these to it", allowed.to_define));
        }
        if demands.creations > 0 && !allowed.may_create_functions {
            let count = demands.creations;
            denied.push(format!(
                "the server has a binary log, and the account has no SUPER, so it may make none of {count} triggers and functions: \
                 {TRUST}"
            ));
        }
        denied
    }

    fn warn_of_use(&self, warnings: &mut Vec<String>) {
        let count = self.sessions.iter().map(|session| session.count).sum::<u64>() + self.more_sessions;
        if count > 0 {
            let groups: Vec<String> = self
                .sessions
                .iter()
                .map(|session| {
                    let longest = match session.longest.as_secs() {
                        0 => String::new(),
                        seconds => format!(", at work for {seconds} s"),
                    };
                    format!("{} of {}@{} to {}{longest}", session.count, session.user, session.host, quoted(&session.database))
                })
                .collect();
            let are = if count == 1 { "1 session is".to_owned() } else { format!("{count} sessions are") };
            warnings.push(format!("{are} connected: {}; the exchange waits for their statements and transactions", told(&groups, ", ")));
        }
        if !self.sees_sessions {
            warnings.push(format!("`{}` has no PROCESS right: sessions of other accounts are not seen", self.allowed.account));
        }
    }

    /// What hangs on a database that is exchanged.
    fn warn_of_ties(&self, database: &PresentDatabase, warnings: &mut Vec<String>) {
        let name = quoted(&database.name);
        let is_exchanged = |table: &str| self.databases.iter().any(|other| table.starts_with(&format!("{}.", quoted(&other.name))));
        let referring: Vec<String> = database.referring.iter().filter(|table| !is_exchanged(table)).cloned().collect();
        if !referring.is_empty() || database.more_referring {
            let more = if database.more_referring { " and more" } else { "" };
            warnings.push(format!(
                "foreign keys of other databases point into {name}: {}{more}; they will point to what is restored, and their rows are not checked",
                told(&referring, ", ")
            ));
        }
        if database.triggers > 0 {
            warnings.push(format!(
                "tables of {name} have {} triggers: writes in the moment of the exchange run without them",
                database.triggers
            ));
        }
    }
}

/// The first few of a list, and how many more.
fn told(names: &[String], between: &str) -> String {
    let first = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(between);
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn named_flavour(flavour: &str) -> &str {
    match flavour {
        "mariadb" => "MariaDB",
        "mysql" => "MySQL",
        other => other,
    }
}

/// The first two numbers of a version, by which releases are told apart.
fn release(version: &str) -> (u64, u64) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
