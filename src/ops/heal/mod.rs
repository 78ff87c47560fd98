//! `heal`: makes damaged snapshots of the repository sound again where their bytes lie intact somewhere else, and damaged local copies.
//!
//! [`scan`] finds which snapshots need something that is not there or known to be damaged ([`stock`]); [`chart`] is what can still be read
//! of one; [`remedy`] looks for the blobs that it lacks. Then the snapshot is written again under the next number of its manifest
//! ([`super::ship::ship_again`]): what can be relied on is referred to, only the rest is stored. What was damaged is not touched, and what it
//! was needed for no longer needs it. [`local`] is the other tier.
//!
//! Nothing here holds more in memory when snapshots are larger: charts are made anew for each step rather than kept.

mod chart;
mod local;
mod outcome;
mod remedy;
mod scan;
mod scope;
mod stock;

use std::path::PathBuf;

pub use outcome::{ByHand, Healed, HealedCopy, Outcome, Unhealed};
pub use scan::Ill;
pub use scope::What;

use super::catalogue::Shipped;
use super::copies::{Copies, Copy, sources_with_copies};
use super::error::chain;
use super::event::Event;
use super::locks::{self, Waiting};
use super::node::Remote;
use super::ship::{Again, CopySupply, local_damage, ship_again};
use super::work::work_folder;
use super::{Context, Error, verify};
use crate::archive::Supply;
use crate::format::FormatError;
use crate::format::head::Head;
use crate::format::key::{Key, MARKER, NodeKey};
use crate::format::limits::SMALL_MAX;
use crate::format::marker::Marker;
use crate::format::names::SourceName;
use crate::format::node_file::NodeFile;
use crate::format::snapshot_id::SnapshotId;
use crate::sys::environment::temporary_folder;
use chart::Chart;
use remedy::Remedy;
use scan::{Patient, Scan};
use scope::Scope;
use stock::{Stock, problem_of};

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
    let _lock = if options.dry_run { None } else { Some(locks::shipping(ctx, "heal", options.wait)?) };
    let mut outcome = Outcome { dry_run: options.dry_run, ..Outcome::default() };
    let remote = match if options.dry_run { Remote::open(ctx) } else { Remote::open_for_shipping(ctx) } {
        Ok(remote) => remote,
        Err(Error::Unreadable { object, cause }) if !matches!(cause, FormatError::Version(_)) => {
            outcome.by_hand.push(ByHand::of(&object, chain(&cause)));
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
    /// Heals the repository; gives what is to be healed.
    fn repository(&mut self) -> Result<Scope, Error> {
        let mut stock = Stock::read(self.ctx, self.remote, &self.work)?;
        self.outcome.known_until = stock.known.iter().map(|check| check.time).max();
        self.by_hand(&mut stock)?;
        let mut scan = Scan::of(self.ctx, self.remote, &mut stock, self.options.dry_run)?;
        let scope = Scope::of(&self.options.what, &self.known_snapshots(&scan)?)?;
        let patients: Vec<Patient> =
            std::mem::take(&mut scan.patients).into_iter().filter(|patient| scope.wants(&patient.source, patient.id)).collect();
        self.keep(&mut stock);
        let others = self.from_copies(&mut stock, &mut scan, patients)?;
        self.from_elsewhere(&mut stock, &mut scan, others)?;
        self.outcome.sound_again = stock.sound_again();
        Ok(scope)
    }

    fn keep(&self, stock: &mut Stock<'_>) {
        if !self.options.dry_run {
            stock.record();
        }
    }

    /// Every snapshot that either tier knows of.
    fn known_snapshots(&self, scan: &Scan) -> Result<Vec<(SourceName, SnapshotId)>, Error> {
        let mut known: Vec<_> = scan.catalogue.snapshots.keys().cloned().collect();
        known.extend(scan.patients.iter().map(|patient| (patient.source.clone(), patient.id)));
        for source in sources_with_copies(self.ctx)? {
            let copies = Copies::read(self.ctx, &source)?;
            known.extend(copies.complete.iter().chain(&copies.future).map(|copy| (source.clone(), copy.id())));
        }
        known.sort();
        known.dedup();
        Ok(known)
    }

    /// Marker and node files: no other object can take their place.
    fn by_hand(&mut self, stock: &mut Stock<'_>) -> Result<(), Error> {
        let known: Vec<String> = stock.known.iter().map(|check| check.object.clone()).collect();
        for key in known {
            let read: &dyn Fn(&[u8]) -> Result<(), String> = match Key::parse(&key) {
                Some(Key::Marker) => &|text| Marker::from_text(text).map(drop).map_err(|cause| chain(&cause)),
                Some(Key::Of(_, NodeKey::Node(_))) => &|text| NodeFile::from_text(text).map(drop).map_err(|cause| chain(&cause)),
                _ => continue,
            };
            let is_highest =
                key == MARKER || self.remote.highest_node_file(self.ctx)?.is_none_or(|(n, _)| key.ends_with(&format!("/node.{n}.json")));
            match problem_of(self.remote, &key, SMALL_MAX, read)? {
                Some(problem) if is_highest => self.outcome.by_hand.push(ByHand::of(&key, problem)),
                Some(_) => {}
                None => stock.is_sound(&key),
            }
        }
        Ok(())
    }

    /// Heals what has a sound local copy; gives the others.
    fn from_copies(&mut self, stock: &mut Stock<'_>, scan: &mut Scan, patients: Vec<Patient>) -> Result<Vec<Patient>, Error> {
        let mut others = Vec::new();
        for patient in patients {
            self.ctx.stop.check()?;
            let chart = match Chart::of(self.ctx, self.remote, stock, &patient)? {
                Ok(chart) => chart,
                Err(why) => {
                    self.outcome.unhealed.push(Unhealed::without_lists(&patient, why));
                    continue;
                }
            };
            // What was found while its lists were read must be known before anything new refers to it.
            self.keep(stock);
            let copy = chart.copy.clone().filter(|copy| copy.damage.is_none());
            let Some(copy) = copy else {
                others.push(patient);
                continue;
            };
            let mut remedy = Remedy::new(&self.work, self.options.dry_run)?;
            remedy.know_fact(&chart)?;
            let to_store = remedy.to_store(self.ctx, self.remote, &chart)?;
            match self.from_copy(scan, &patient, &chart, &remedy, &copy)? {
                Ok(head) => self.is_healed(scan, &patient, head, "local copy", to_store),
                Err(problem) => {
                    copy.note_damage(self.ctx, problem)?;
                    others.push(patient);
                }
            }
        }
        Ok(others)
    }

    /// Writes a snapshot again from its local copy; `Err` in words when that turns out to be damaged.
    fn from_copy(
        &self,
        scan: &Scan,
        patient: &Patient,
        chart: &Chart,
        remedy: &Remedy,
        copy: &Copy,
    ) -> Result<Result<Option<Head>, String>, Error> {
        if self.options.dry_run {
            return Ok(Ok(None));
        }
        let _held = match copy.hold(self.ctx) {
            Err(Error::Absent(why)) => return Ok(Err(why)),
            held => held?,
        };
        let facts = super::facts::Facts::new(&copy.record.facts)?;
        let supply = match CopySupply::new(&copy.data(), facts.text) {
            Ok(supply) => supply,
            Err(error) => return Ok(Err(chain(&error))),
        };
        match self.write(scan, patient, chart, remedy, &supply) {
            Ok(head) => Ok(Ok(Some(head))),
            Err(error) => match local_damage(error, &copy.dir) {
                error @ Error::Damaged { .. } if chain(&error).starts_with(&copy.dir.display().to_string()) => Ok(Err(chain(&error))),
                error => Err(error),
            },
        }
    }

    /// Heals what has no sound local copy, from wherever its blobs lie.
    fn from_elsewhere(&mut self, stock: &mut Stock<'_>, scan: &mut Scan, patients: Vec<Patient>) -> Result<(), Error> {
        if patients.is_empty() {
            return Ok(());
        }
        let mut remedy = Remedy::new(&self.work, self.options.dry_run)?;
        let mut wanting = Vec::new();
        for patient in patients {
            if let Ok(chart) = Chart::of(self.ctx, self.remote, stock, &patient)? {
                remedy.want(self.ctx, self.remote, &chart)?;
                wanting.push(patient);
            }
        }
        // What was stored a moment ago counts, too.
        let mut now = Stock::read(self.ctx, self.remote, &self.work)?;
        remedy.search(self.ctx, self.remote, &mut now)?;
        self.keep(&mut now);
        self.outcome.elsewhere = std::mem::take(&mut remedy.places);
        for patient in wanting {
            self.ctx.stop.check()?;
            let chart = match Chart::of(self.ctx, self.remote, &mut now, &patient)? {
                Ok(chart) => chart,
                Err(why) => {
                    self.outcome.unhealed.push(Unhealed::without_lists(&patient, why));
                    continue;
                }
            };
            remedy.know_fact(&chart)?;
            let lost = remedy.lost(self.ctx, self.remote, &chart)?;
            if lost.is_any() {
                self.outcome.unhealed.push(Unhealed::without_blobs(&patient, lost));
                continue;
            }
            let to_store = remedy.to_store(self.ctx, self.remote, &chart)?;
            let head = match self.options.dry_run {
                true => None,
                false => match self.write(scan, &patient, &chart, &remedy, &remedy.spool) {
                    Ok(head) => Some(head),
                    Err(error) if error.is_stopped() || matches!(error, Error::Repository(_) | Error::System(_)) => return Err(error),
                    Err(error) => {
                        self.outcome.unhealed.push(Unhealed::without_lists(&patient, chain(&error)));
                        continue;
                    }
                },
            };
            self.is_healed(scan, &patient, head, "elsewhere", to_store);
        }
        Ok(())
    }

    fn write(&self, scan: &Scan, patient: &Patient, chart: &Chart, remedy: &Remedy, supply: &dyn Supply) -> Result<Head, Error> {
        let again = Again {
            record: &chart.record,
            objective: chart.objective,
            level: chart.level,
            files: chart.files(self.ctx, self.remote),
            facts: chart.facts(self.ctx, self.remote),
            fact: chart.fact.clone(),
            packs: &chart.packs,
            lists: &chart.lists,
            found: &remedy.found,
            supply,
            used: patient.used,
        };
        ship_again(self.ctx, self.remote, &scan.catalogue, &again)
    }

    fn is_healed(&mut self, scan: &mut Scan, patient: &Patient, head: Option<Head>, from: &'static str, to_store: u64) {
        let (n, added_bytes) = head.as_ref().map_or((None, None), |head| (Some(head.n), Some(head.added_bytes)));
        let (source, id, ill) = (patient.source.clone(), patient.id, patient.ill.clone());
        if let Some(head) = head {
            self.ctx.tell(Event::Healed { source: source.clone(), snapshot: id, n: head.n, added_bytes: head.added_bytes });
            scan.catalogue.snapshots.insert((source.clone(), id), Shipped { head, lower: Vec::new() });
        }
        self.outcome.healed.push(Healed { source, id, n, from, bytes_to_store: to_store, added_bytes, damage: ill });
    }

    /// Heals the local copies.
    fn copies(&mut self, scope: &Scope) -> Result<(), Error> {
        for source in sources_with_copies(self.ctx)? {
            let copies = Copies::read(self.ctx, &source)?;
            let damaged = |copy: &&Copy| copy.damage.is_some() && scope.wants(&source, copy.id());
            let damaged: Vec<Copy> = copies.complete.iter().chain(&copies.future).filter(damaged).cloned().collect();
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
