//! The first tier: damaged snapshots in the repository, from their own copies first, then from wherever their blobs lie.

use std::path::Path;

use super::Run;
use super::chart::Chart;
use super::outcome::{ByHand, Healed, Unhealed};
use super::remedy::Remedy;
use super::scan::{Patient, Scan};
use super::scope::Scope;
use super::stock::{Stock, problem_of};
use crate::archive::Supply;
use crate::format::head::Head;
use crate::format::key::{Key, MARKER, NodeKey};
use crate::format::limits::SMALL_MAX;
use crate::format::marker::Marker;
use crate::format::names::SourceName;
use crate::format::node_file::NodeFile;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::Shipped;
use crate::ops::copies::{Copies, Copy, sources_with_copies};
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::facts::Facts;
use crate::ops::ship::{Again, CopySupply, local_damage, ship_again};
use crate::ops::{Error, records};

impl Run<'_> {
    /// Heals the repository; gives what is to be healed.
    pub(super) fn repository(&mut self) -> Result<Scope, Error> {
        let mut stock = Stock::read(self.ctx, self.remote, &self.work)?;
        self.outcome.known_until = stock.known.iter().map(|check| check.time).max();
        self.by_hand(&mut stock)?;
        let mut scan = Scan::of(self.ctx, self.remote, &mut stock, self.options.dry_run)?;
        let scope = Scope::of(&self.options.what, &self.known_snapshots(&scan)?)?;
        let patients: Vec<Patient> =
            std::mem::take(&mut scan.patients).into_iter().filter(|patient| scope.wants(&patient.source, patient.id)).collect();
        self.keep(&mut stock);
        let others = self.mend_by_copies(&mut stock, &mut scan, patients)?;
        self.mend_by_others(&mut stock, &mut scan, others)?;
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
            known.extend(copies.broken.iter().map(|copy| (source.clone(), copy.id)));
        }
        known.sort();
        known.dedup();
        Ok(known)
    }

    /// Marker, node files, and records: no other object can take their place.
    fn by_hand(&mut self, stock: &mut Stock<'_>) -> Result<(), Error> {
        let known: Vec<String> = stock.known.iter().map(|check| check.object.clone()).collect();
        for key in known {
            if let Some(Key::Of(_, record)) = Key::parse(&key).filter(|key| matches!(key, Key::Of(_, key) if records::is_record(key))) {
                match records::problem_of(self.remote, &self.ctx.node, &record)? {
                    Some(problem) => self.outcome.by_hand.push(ByHand::of_record(&record, key, problem.text)),
                    None => stock.is_sound(&key),
                }
                continue;
            }
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
    fn mend_by_copies(&mut self, stock: &mut Stock<'_>, scan: &mut Scan, patients: Vec<Patient>) -> Result<Vec<Patient>, Error> {
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
            match self.mend_by_copy(scan, &patient, &chart, &remedy, &copy) {
                Ok(head) => self.is_healed(scan, &patient, head, "local copy", to_store),
                Err(error) if is_damage_of(&copy, &error) => {
                    copy.note_damage(self.ctx, chain(&error))?;
                    others.push(patient);
                }
                // It was one too many, and has just been removed.
                Err(Error::Absent(_)) => others.push(patient),
                Err(error) => self.is_not_healed(&patient, error)?,
            }
        }
        Ok(others)
    }

    /// Writes a snapshot again from its local copy.
    fn mend_by_copy(&self, scan: &Scan, patient: &Patient, chart: &Chart, remedy: &Remedy, copy: &Copy) -> Result<Option<Head>, Error> {
        if self.options.dry_run {
            return Ok(None);
        }
        let _held = copy.hold(self.ctx)?;
        let facts = Facts::new(&copy.record.facts)?;
        let supply = CopySupply::new(&copy.data(), facts.text)?;
        self.write(scan, patient, chart, remedy, &supply).map(Some).map_err(|error| local_damage(error, &copy.dir))
    }

    /// A snapshot that could not be written again, unless the run as a whole cannot go on.
    fn is_not_healed(&mut self, patient: &Patient, error: Error) -> Result<(), Error> {
        if error.is_stopped() || matches!(error, Error::Repository(_) | Error::System(_) | Error::File { .. }) {
            return Err(error);
        }
        self.outcome.unhealed.push(Unhealed::without_lists(patient, chain(&error)));
        Ok(())
    }

    /// Heals what has no sound local copy, from wherever its blobs lie.
    fn mend_by_others(&mut self, stock: &mut Stock<'_>, scan: &mut Scan, patients: Vec<Patient>) -> Result<(), Error> {
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
                    Err(error) => {
                        self.is_not_healed(&patient, error)?;
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
            scan.catalogue.snapshots.insert((source.clone(), id), Shipped { head: Box::new(head), lower: Vec::new() });
        }
        self.outcome.healed.push(Healed { source, id, n, from, bytes_to_store: to_store, added_bytes, damage: ill });
    }
}

/// Whether an error says that the bytes of a copy are not what they were.
fn is_damage_of(copy: &Copy, error: &Error) -> bool {
    matches!(error, Error::Damaged { object, .. } if Path::new(object).starts_with(&copy.dir))
}
