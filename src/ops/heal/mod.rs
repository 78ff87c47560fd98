//! `heal`: makes damaged snapshots of the repository sound again where their bytes lie intact somewhere else, and damaged local copies.
//!
//! [`scan`] finds which snapshots need something that is not there or known to be damaged ([`stock`]); [`chart`] is what can still be read
//! of one; [`remedy`] looks for the blobs that it lacks. Then, in [`repository`], the snapshot is written again under the next number of
//! its manifest ([`super::ship::ship_again`]): what can be relied on is referred to, only the rest is stored. What was damaged is not
//! touched, and what it was needed for no longer needs it. [`local`] is the other tier; of copies whose record is gone, [`broken`] finds out
//! what they were.
//!
//! Nothing here holds more in memory when snapshots are larger: charts are made anew for each step rather than kept.

mod broken;
mod chart;
mod local;
mod outcome;
mod remedy;
mod repository;
mod scan;
mod scope;
mod stock;

use std::path::PathBuf;

pub use outcome::{ByHand, Healed, HealedCopy, Outcome, Unhealed};
pub use scan::Ill;
pub use scope::What;

use super::copies::{Copies, Copy, sources_with_copies};
use super::error::chain;
use super::locks::{self, Waiting};
use super::node::{Remote, check_local_tier};
use super::work::work_folder;
use super::{Context, Error, verify};
use crate::format::FormatError;
use crate::sys::environment::temporary_folder;
use scan::{Patient, Scan};
use scope::Scope;
use stock::Stock;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these sources and snapshots; empty = all of this node, and its local copies.
    pub what: Vec<What>,
    /// How long to wait for a shipment.
    pub wait: Waiting,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Heals what can be healed. Killed at any point, it leaves each snapshot as it was or healed, and the next run goes on.
///
/// What is damaged is known from verifications; what is missing or of a wrong size is seen in a listing. Each known damage is looked at once
/// more before anything is written.
///
/// # Errors
/// [`Error::Absent`] for a name that means nothing; [`crate::sys::Error::Locked`] while something else ships; what concerns the store as a
/// whole. What cannot be healed is in the outcome.
pub fn run(ctx: &Context, options: &Options) -> Result<Outcome, Error> {
    check_local_tier(ctx)?;
    let _lock = if options.dry_run { None } else { Some(locks::shipping(ctx, "heal", options.wait)?) };
    let mut outcome = Outcome { dry_run: options.dry_run, ..Outcome::default() };
    let remote = match if options.dry_run { Remote::open(ctx) } else { Remote::open_for_shipping(ctx) } {
        Ok(remote) => remote,
        Err(Error::Unreadable { object, cause }) if !matches!(cause, FormatError::Version(_)) => {
            outcome.by_hand.push(ByHand::of(&object, chain(&cause)));
            return Ok(outcome);
        }
        Err(Error::Damaged { object, problem } | Error::Unread { object, problem }) => {
            outcome.by_hand.push(ByHand::of(&object, problem));
            return Ok(outcome);
        }
        Err(error) => return Err(error),
    };
    ctx.meter.set_phase("planning");
    let work = if options.dry_run { temporary_folder() } else { work_folder(ctx)? };
    let mut run = Run { ctx, remote: &remote, options, work, outcome };
    let scope = run.repository()?;
    run.copies(&scope)?;
    if !options.dry_run {
        run.look_once_more(&scope)?;
    }
    Ok(run.outcome)
}

struct Run<'a> {
    ctx: &'a Context,
    remote: &'a Remote,
    options: &'a Options,
    work: PathBuf,
    outcome: Outcome,
}

impl Run<'_> {
    /// Heals the local copies.
    fn copies(&mut self, scope: &Scope) -> Result<(), Error> {
        for source in sources_with_copies(self.ctx)? {
            let copies = Copies::read(self.ctx, &source)?;
            let damaged = |copy: &&Copy| copy.damage.is_some() && scope.wants(&source, copy.id());
            let mut damaged: Vec<Copy> = copies.complete.iter().chain(&copies.future).filter(damaged).cloned().collect();
            for copy in copies.broken.iter().filter(|copy| scope.wants(&source, copy.id)) {
                match broken::known(self.ctx, self.remote, &source, copy)? {
                    Ok(known) => damaged.push(known),
                    Err(why) => self.outcome.unhealed.push(Unhealed::of_copy(&source, copy.id, &copy.dir, &copy.problem, why)),
                }
            }
            if !damaged.is_empty() {
                local::heal(self.ctx, &source, &damaged, self.options, &mut self.outcome)?;
            }
        }
        Ok(())
    }

    /// After all was written: what is still damaged, and what of the old damage no longer matters.
    fn look_once_more(&mut self, scope: &Scope) -> Result<(), Error> {
        let mut stock = Stock::read(self.ctx, self.remote, &self.work)?;
        let scan = Scan::of(self.ctx, self.remote, &mut stock, false)?;
        let told = |outcome: &Outcome, patient: &Patient| {
            outcome.unhealed.iter().any(|known| (&known.source, known.id) == (&patient.source, patient.id))
        };
        for patient in scan.patients.iter().filter(|patient| scope.wants(&patient.source, patient.id)) {
            self.outcome.healed.retain(|healed| (&healed.source, healed.id) != (&patient.source, patient.id));
            if !told(&self.outcome, patient) {
                let why = "it was damaged again while it was healed".to_owned();
                self.outcome.unhealed.push(Unhealed::without_lists(patient, why));
            }
        }
        stock.record();
        let superseded = scan.superseded(&stock);
        verify::record_verdicts(self.ctx, self.remote, &self.ctx.node, &superseded);
        self.outcome.superseded = superseded.len() as u64;
        Ok(())
    }
}
