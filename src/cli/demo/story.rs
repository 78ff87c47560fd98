//! What happens in the demo, by the same verbs that the commands use.

use std::fs;
use std::path::Path;

use super::claims::Claims;
use super::compare::{State, of_folder};
use super::data::{Data, NUMBERS_EACH, USERS};
use super::place::Place;
use super::say;
use crate::cli::context::Program;
use crate::cli::failure::Failure;
use crate::cli::{human, list, verify as verify_command};
use crate::config::{Config, Machine};
use crate::format::check::Level;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::name::{SnapshotName, Which};
use crate::ops::snapshots::{Place as Where, View};
use crate::ops::{Context, Error, backup, diff, fetch, init, restore, verify};
use crate::sys::tree::remove_tree;

/// Backups that are taken: one more than copies are kept, so that retention is seen.
const ROUNDS: u32 = 5;

/// Data, context and what was seen so far.
pub(super) struct Story<'a> {
    program: &'a Program,
    place: &'a Place,
    claims: &'a mut Claims,
    data: Data<'a>,
    ctx: Context,
    ellis: SourceName,
    clearwater: SourceName,
    /// What the data was at each backup, and the two snapshots of it.
    seen: Vec<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    state: State,
    ellis: SnapshotId,
    clearwater: SnapshotId,
}

impl<'a> Story<'a> {
    /// Makes the data and the configuration.
    pub(super) fn begin(program: &'a Program, place: &'a Place, claims: &'a mut Claims) -> Result<Self, Failure> {
        let mut data = Data::new(&place.live(), &*program.random, &program.stop);
        let (users, numbers) = (human::number(u64::from(USERS)), human::number(u64::from(USERS * NUMBERS_EACH)));
        say(&program.output, format!("1. A database of subscribers ({users} users, {numbers} numbers) and a folder of settings are made."));
        data.make()?;
        place.configure(&data.database, &data.settings)?;
        let config = Config::load(&place.config(), &Machine::this(), &*program.environment)?;
        let ctx = program.context_of(config);
        let name = |text: &str| text.parse::<SourceName>().map_err(|cause| Failure::Unproven(cause.to_string()));
        Ok(Self { program, place, claims, data, ctx, ellis: name("ellis")?, clearwater: name("clearwater")?, seen: Vec::new() })
    }

    /// Tells all of it.
    pub(super) fn tell(mut self) -> Result<(), Failure> {
        self.begin_repository()?;
        self.back_up()?;
        self.list()?;
        self.verify()?;
        self.destroy_and_restore()?;
        self.restore_the_wrong_one()?;
        self.go_back_to_the_first()?;
        self.compare_two()?;
        self.find_a_flipped_byte()
    }

    fn say(&self, text: impl std::fmt::Display) {
        say(&self.program.output, text);
    }

    fn check(&mut self, claim: &str, evidence: impl Into<String>, proven: bool) {
        self.claims.check(&self.program.output, claim, evidence, proven);
    }

    fn state(&self) -> Result<State, Error> {
        State::of(&self.data.database, &self.data.settings, &self.program.stop)
    }

    fn begin_repository(&mut self) -> Result<(), Failure> {
        let outcome = init::run(&self.ctx, &init::Options::default())?;
        self.say(format!("\n2. `windlass init`: {} is a repository now.", outcome.location));
        let again = init::run(&self.ctx, &init::Options::default())?;
        self.check(
            "init on a repository that is there changes nothing",
            "same id",
            again.repository == outcome.repository && !again.created,
        );
        Ok(())
    }

    fn back_up(&mut self) -> Result<(), Failure> {
        self.say(format!("\n3. `windlass backup --all`, {ROUNDS} times, while the data changes."));
        for round in 1..=ROUNDS {
            if round > 1 {
                self.data.change(round)?;
            }
            let state = self.state()?;
            let ellis = self.back_up_one(&self.ellis)?;
            let clearwater = self.back_up_one(&self.clearwater)?;
            self.seen.push(Seen { state, ellis, clearwater });
        }
        Ok(())
    }

    fn back_up_one(&self, source: &SourceName) -> Result<SnapshotId, Failure> {
        let outcome = backup::run(&self.ctx, source, &backup::Options::default())?;
        if let Some(error) = outcome.failure {
            return Err(error.into());
        }
        let taken = outcome.snapshot;
        let id = taken.id.ok_or_else(|| Failure::Unproven(format!("the backup of {source} made no snapshot")))?;
        let shipped = outcome.shipped.iter().find(|shipment| shipment.id == id);
        let shipped = shipped.ok_or_else(|| Failure::Unproven(format!("{source}/{id} was not shipped")))?;
        let removed = match taken.removed.len() {
            0 => String::new(),
            _ => format!("; {} was one too many on the node", taken.removed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        };
        let (bytes, added) = (human::bytes(taken.bytes), human::bytes(shipped.added_bytes));
        self.say(format!("   {source}/{id}: {bytes}, {added} added to the repository{removed}"));
        Ok(id)
    }

    fn list(&mut self) -> Result<(), Failure> {
        self.say("\n4. `windlass list`:");
        let view = View::read(&self.ctx, None, None)?;
        if !self.program.output.json {
            list::print(self.program, &self.ctx, &self.ctx.node, &view)?;
        }
        let rows = view.rows.iter().collect::<Result<Vec<_>, _>>()?;
        for source in [self.ellis.clone(), self.clearwater.clone()] {
            let count = |place: &[Where]| rows.iter().filter(|row| row.source == source && place.contains(&row.place)).count();
            let (local, shipped) = (count(&[Where::Local, Where::Both]), count(&[Where::Shipped, Where::Both]));
            let claim = format!("four copies of {source} are on the node, five in the repository");
            self.check(&claim, format!("{local} and {shipped} listed"), (local, shipped) == (4, 5));
        }
        let sound = rows.iter().all(|row| row.problems.is_empty()) && view.findings.is_empty() && view.unreachable.is_none();
        self.check("every snapshot is sound", human::count(rows.len() as u64, "snapshot"), sound);
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.say("\n5. `windlass verify`:");
        let outcome = verify::run(&self.ctx, &options_of_verify())?;
        verify_command::lines(&outcome).iter().for_each(|line| self.say(format!("   {line}")));
        let read = format!("{}, {}", human::count(outcome.checked.objects, "object"), human::bytes(outcome.checked.bytes));
        let sound = outcome.damage.is_empty() && outcome.unexpected.is_empty() && outcome.checked.level == Level::Full;
        self.check("every stored byte is what the manifests say", read, sound && outcome.snapshots == u64::from(2 * ROUNDS));
        Ok(())
    }

    fn destroy_and_restore(&mut self) -> Result<(), Failure> {
        self.say(
            "\n6. The disaster: the database and the settings are deleted. Then `windlass restore ellis`, `windlass restore clearwater`.",
        );
        remove_tree(&self.place.live()).map_err(Error::from)?;
        fs::create_dir(self.place.live()).map_err(Error::file("create the folder", self.place.live()))?;
        for source in [&self.ellis, &self.clearwater] {
            self.restore(SnapshotName::latest(source.clone()))?;
        }
        let (now, then) = (self.state()?, self.seen.last().map(|seen| seen.state));
        self.check(
            "the database is as it was at the last backup",
            "all rows compared",
            then.is_some_and(|then| then.database == now.database),
        );
        let evidence = "names, bytes, modes, owners, times, links compared";
        self.check("the settings are as they were at the last backup", evidence, then.is_some_and(|then| then.settings == now.settings));
        Ok(())
    }

    fn restore(&self, name: SnapshotName) -> Result<(), Failure> {
        let plan = restore::plan(&self.ctx, &name, &restore::Options::default())?;
        let outcome = restore::run(&self.ctx, &plan, None)?;
        let downloaded = human::bytes(outcome.downloaded_bytes);
        self.say(format!("   {}: {} restored, {}, {downloaded} downloaded", plan.source, plan.id, human::bytes(outcome.bytes)));
        Ok(())
    }

    fn restore_the_wrong_one(&mut self) -> Result<(), Failure> {
        self.say("\n7. The mistake: work goes on, then an old snapshot is restored. Then `windlass restore SOURCE --undo`.");
        self.data.change(ROUNDS + 1)?;
        let before = self.state()?;
        let second = self.seen[1];
        self.restore(exactly(&self.ellis, second.ellis))?;
        self.restore(exactly(&self.clearwater, second.clearwater))?;
        let now = self.state()?;
        self.check("an older snapshot brings the older state", "rows and settings compared", now == second.state);
        for source in [&self.ellis, &self.clearwater] {
            let plan = restore::plan_undo(&self.ctx, source)?;
            restore::undo(&self.ctx, &plan, None)?;
            self.say(format!("   {source}: undone"));
        }
        let now = self.state()?;
        self.check("undo brings back the work since the last backup", "rows and settings compared", now == before);
        Ok(())
    }

    fn go_back_to_the_first(&mut self) -> Result<(), Failure> {
        let first = self.seen[0];
        self.say("\n8. The first snapshot is only in the repository by now: `windlass fetch clearwater/ID --to DIR`.");
        let to = self.place.root.join("fetched");
        let options = fetch::Options { to: to.clone(), ..fetch::Options::default() };
        let outcome = fetch::run(&self.ctx, &exactly(&self.clearwater, first.clearwater), &options)?;
        let same = of_folder(&to)? == first.state.settings;
        let downloaded = human::bytes(outcome.downloaded_bytes);
        self.check("the first settings come back from the repository", format!("all compared, {downloaded} downloaded"), same);
        remove_tree(&to).map_err(Error::from)?;
        Ok(())
    }

    fn compare_two(&mut self) -> Result<(), Failure> {
        let (first, last) = (self.seen[0].clearwater, self.seen[self.seen.len() - 1].clearwater);
        self.say("\n9. `windlass diff` of the first and the last settings:");
        let (before, after) = (exactly(&self.clearwater, first), exactly(&self.clearwater, last));
        let mut lines = Vec::new();
        let summary = diff::run(&self.ctx, None, &before, &after, &mut |change| {
            lines.push(crate::cli::diff::line(&change));
            Ok(())
        })?;
        lines.iter().for_each(|line| self.say(format!("   {line}")));
        // Four new files and a renamed one; a link that was removed and the old name.
        let proven = (summary.added, summary.removed) == (5, 2);
        self.check("diff names what changed in four rounds", format!("{} added, {} removed", summary.added, summary.removed), proven);
        Ok(())
    }

    fn find_a_flipped_byte(&mut self) -> Result<(), Failure> {
        self.say("\n10. One bit of one pack is turned over, in a copy of the repository. Then `windlass verify`.");
        let copy = self.place.root.join("damaged");
        copy_tree(&self.place.repository(), &copy).map_err(Error::file("copy the repository to", &copy))?;
        let pack = first_file(&copy.join("demo/packs")).map_err(Error::file("look for a pack in", &copy))?;
        let mut bytes = fs::read(&pack).map_err(Error::file("read", &pack))?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&pack, bytes).map_err(Error::file("write", &pack))?;
        let mut config = Config::load(&self.place.config(), &Machine::this(), &*self.program.environment)?;
        config.repository.url = config.repository.url.replace("/repository", "/damaged");
        let outcome = verify::run(&self.program.context_of(config), &options_of_verify())?;
        verify_command::lines(&outcome).iter().for_each(|line| self.say(format!("   {line}")));
        let name = pack.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let found = !outcome.damage.is_empty() && outcome.damage.iter().all(|damage| damage.object.ends_with(&name));
        self.check(
            "a single flipped bit is found and its object named",
            human::count(outcome.damage.len() as u64, "damaged object"),
            found,
        );
        remove_tree(&copy).map_err(Error::from)?;
        Ok(())
    }
}

fn options_of_verify() -> verify::Options {
    verify::Options { level: Level::Full, snapshots: Vec::new(), node: None }
}

fn exactly(source: &SourceName, id: SnapshotId) -> SnapshotName {
    SnapshotName { source: Some(source.clone()), which: Which::Prefix(id.to_string()) }
}

/// Copies plain files and folders.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The first file at any depth, in the order of names.
fn first_file(folder: &Path) -> std::io::Result<std::path::PathBuf> {
    let mut paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    match paths.into_iter().next() {
        Some(path) if path.is_dir() => first_file(&path),
        Some(path) => Ok(path),
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}
