//! Whether the account and the server let databases be restored, and put back.

use std::path::Path;

use super::Options;
use super::dumps::Dumps;
use crate::ops::spec::MysqlSettings;
use crate::ops::undo::Leftovers;
use crate::ops::{Context, Error};
use crate::source;
use crate::source::mysql::{Demands, Pair, Present, Reference, check_readable, check_references, check_views, removal, which_exist};

/// Most tables that are named in a text.
const NAMED: usize = 10;

/// What a person should know before the dumps come; refused is what cannot go well, and a new name that is taken.
pub(super) fn judge(present: &Present, dumps: &Dumps, options: &Options) -> Result<Vec<String>, Error> {
    dumps.check_count()?;
    let mut facts = dumps.facts.clone();
    if let Some(facts) = &mut facts
        && (options.part.table.is_some() || options.part.database.is_some())
    {
        // What the part that comes needs of this is known when its tables are loaded.
        (facts.definers, facts.triggers_and_functions, facts.undeclared_functions) = (Vec::new(), 0, 0);
    }
    let definers = &options.part.definers;
    let judged =
        if options.part.rename.is_some() { present.judge_new(facts.as_ref(), definers) } else { present.judge(facts.as_ref(), definers) };
    let mut warnings = judged?;
    warnings.extend(present.tell_room(room_of(dumps)));
    Ok(warnings)
}

/// What the dumps take on a server, about: what the databases took, and where the server knew too little of them, half of what their dumps do, since
/// bytes are written with two digits each. Of one table nobody knows.
fn room_of(dumps: &Dumps) -> u64 {
    if dumps.databases.iter().any(|dump| dump.table.is_some()) {
        return 0;
    }
    let comes = |name: &str| dumps.databases.iter().any(|dump| dump.original == name);
    let took = dumps.facts.iter().flat_map(|facts| &facts.databases).filter(|database| comes(&database.name));
    match took.fold(0, |sum: u64, database| sum.saturating_add(database.data_bytes)) {
        0 => dumps.bytes,
        took => took.max(dumps.bytes / 2),
    }
}

/// That what is live can be made again by this account, should the exchange fail, and for an undo; and that what `comes` may refer to tables of
/// other databases, as far as that is known.
pub(super) fn check_live(
    ctx: &Context,
    settings: &MysqlSettings,
    present: &Present,
    pairs: &[Pair],
    comes: &[Vec<Reference>],
) -> Result<Vec<String>, Error> {
    check_readable(settings, pairs, &ctx.stop)?;
    check_references(settings, pairs, comes, &ctx.stop)?;
    check_views(settings, pairs, &ctx.stop)?;
    let mut warnings = Vec::new();
    for pair in pairs {
        let demands = Demands::of_live(settings, &pair.live, pair.table.as_deref(), &ctx.stop)?;
        warnings.extend(present.check(&format!("what is in `{}` now, and may have to be put back", pair.live), &demands)?);
    }
    Ok(warnings)
}

/// A table that the dump cannot hold is told before anything is done; of a database with very many tables only some are known.
pub(super) fn check_tables(dumps: &Dumps) -> Result<(), Error> {
    for dump in &dumps.databases {
        let known = dumps.facts.iter().flat_map(|facts| &facts.databases).find(|database| database.name == dump.original);
        if let (Some(table), Some(known)) = (&dump.table, known)
            && known.tables.len() as u64 == known.table_count
            && !known.tables.iter().any(|known| known.name == *table)
        {
            return Err(source::Error::NoTable { table: table.clone(), database: dump.original.clone() }.into());
        }
    }
    Ok(())
}

/// What a person should know of a part, and of a dump of which nothing is known but itself.
pub(super) fn warnings_of_part(dumps: &Dumps, present: &Present, options: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(table) = dumps.databases.iter().find_map(|dump| dump.table.as_ref())
        && options.part.rename.is_none()
    {
        warnings.push(format!("rows of other tables that refer to rows of `{table}` stay as they are, and are not checked"));
    }
    warnings.extend(tied_while_loading(dumps, options));
    for database in present.databases.iter().filter(|_| dumps.facts.is_none() && options.part.table.is_none()) {
        if database.routines + database.events > 0 {
            warnings.push(format!(
                "`{}` has {} routines and {} events now, and goes on with those of the dump: a plain `mysqldump` holds none",
                database.name, database.routines, database.events
            ));
        }
    }
    let unknown = |definer: &&String| dumps.facts.as_ref().is_some_and(|facts| !facts.definers.contains(definer));
    warnings.extend(
        options
            .part
            .definers
            .keys()
            .filter(unknown)
            .map(|definer| format!("--definer {definer}: nothing in the snapshot is of that account")),
    );
    warnings
}

/// Tables that are loaded have their foreign keys into other databases at once: only the vendor's dump knows how else to make them.
fn tied_while_loading(dumps: &Dumps, options: &Options) -> Option<String> {
    let mut into: Vec<String> = Vec::new();
    for (dump, known) in dumps.databases.iter().zip(dumps.known_references()) {
        let comes = known.into_iter().filter(|reference| dump.table.as_ref().is_none_or(|table| *table == reference.table));
        into.extend(comes.map(|reference| format!("`{}`.`{}`", reference.database, reference.parent)));
    }
    into.sort();
    into.dedup();
    let more = into.len().saturating_sub(NAMED);
    into.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let until = if options.part.rename.is_some() { "the copy is there, which is without these keys" } else { "the exchange" };
    (!into.is_empty()).then(|| {
        format!(
            "from when its tables are loaded until {until}, what comes has foreign keys to {}{more}: rows there that it refers to may be kept from \
             being changed (error 1451)",
            into.join(", ")
        )
    })
}

/// Databases beside that this node does not remember may be somebody's only copy; those that are `known` to go before are passed over.
pub(super) fn refuse_strangers(
    ctx: &Context,
    settings: &MysqlSettings,
    pairs: &[Pair],
    known: &dyn Fn(&str) -> bool,
    server: &str,
    folder: &Path,
) -> Result<(), Error> {
    let names = pairs.iter().flat_map(|pair| [pair.incoming.database.clone(), pair.outgoing.database.clone()]);
    let names: Vec<String> = names.filter(|name| !known(name)).collect();
    let there = which_exist(settings, &names, &ctx.stop)?;
    let Some(name) = there.first() else { return Ok(()) };
    let left = Leftovers::read(folder)?.unwrap_or_default();
    if left.has_written(server, name) {
        return Err(Error::Refused(format!(
            "the database `{name}` is in the way: it was live before a restore that was broken off was taken back, and may have been written to; \
             look at it; this removes it: {}; nothing was changed",
            removal(name)
        )));
    }
    if left.has(server, name) {
        return Err(Error::Refused(format!(
            "the database `{name}` is left of an earlier restore, could not be removed (a warning says why) and is in the way: remove it ({}); \
             nothing was changed",
            removal(name)
        )));
    }
    Err(Error::Refused(format!(
        "there is a database `{name}` that this node does not remember (another restore into this server is running, or was broken off on \
         another node, by another source or with another `local.dir`): look at it, and remove it if nobody needs it; nothing was changed"
    )))
}
