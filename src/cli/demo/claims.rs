//! What the demo claims, each claim with whether it holds.

use serde::Serialize;

use crate::cli::output::Output;
use crate::cli::table::{Align, Table};

/// One claim that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Claim {
    claim: String,
    /// What was compared with what.
    evidence: String,
    proven: bool,
}

/// All claims so far.
#[derive(Debug, Default)]
pub(super) struct Claims(pub(super) Vec<Claim>);

impl Claims {
    /// Records a claim, and says at once whether it holds.
    pub(super) fn check(&mut self, output: &Output, claim: impl Into<String>, evidence: impl Into<String>, proven: bool) {
        let claim = Claim { claim: claim.into(), evidence: evidence.into(), proven };
        super::say(output, format!("   {}: {} ({})", word(proven), claim.claim, claim.evidence));
        self.0.push(claim);
    }

    /// How many do not hold.
    pub(super) fn failed(&self) -> usize {
        self.0.iter().filter(|claim| !claim.proven).count()
    }

    /// The table of what was proven.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut table = Table::new([("", Align::Left), ("CLAIM", Align::Left), ("EVIDENCE", Align::Left)]);
        self.0.iter().for_each(|claim| table.row([word(claim.proven).into(), claim.claim.clone(), claim.evidence.clone()]));
        table.lines()
    }
}

fn word(proven: bool) -> &'static str {
    if proven { "proven" } else { "FAILED" }
}
