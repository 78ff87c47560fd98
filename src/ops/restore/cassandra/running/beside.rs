//! One table under another name, beside the one that is live.

use super::super::matched::Matched;
use super::new_id;
use super::sides::Both;
use crate::ops::undo::cassandra::running::Filling;
use crate::ops::undo::cassandra::{Manner, PendingImport};
use crate::ops::{Context, Error};
use crate::source::cassandra::Kind;
use crate::source::cassandra::import::{Fill, make_beside};
use crate::source::cassandra::missing::{Element, Part, Standing};

/// Whether a table can be made under this name: it is free, and the types that the table is made of are there as they were.
pub(super) fn check(both: &Both, name: &str) -> Result<Matched, Error> {
    let Part::Table(keyspace, _) = &both.part else {
        unreachable!("--as without a table is a mistake of the command line");
    };
    let there = both.looked.schema.keyspaces.iter().find(|there| there.name == *keyspace);
    let Some(there) = there else {
        return Err(Error::Refused(format!("the node has no keyspace `{keyspace}` that a table could be made in; nothing was changed")));
    };
    if there.tables.iter().any(|table| table.name == name) {
        return Err(Error::Refused(format!("there is a table `{keyspace}.{name}` already: choose another name; nothing was changed")));
    }
    for one in both.comparison.compared.iter().filter(|one| one.element == Element::Type) {
        let is_readable = match &one.standing {
            Standing::Missing => false,
            Standing::Differs(differences) => !differences.iter().any(|difference| difference.is_unreadable),
            _ => true,
        };
        if !is_readable {
            return Err(Error::Refused(format!(
                "the {} of which the table is made is not there as it was when the snapshot was taken; nothing was changed",
                one.told()
            )));
        }
    }
    Ok(Matched { makes: vec![format!("table {keyspace}.{name}")], ..Matched::default() })
}

/// What is noted of the table before it is made.
pub(super) fn manner(ctx: &Context, both: &Both, name: &str) -> Result<Manner, Error> {
    let Part::Table(keyspace, table) = &both.part else { unreachable!("it was checked") };
    let id = new_id(ctx);
    // That it can be made is known before anything is fetched.
    both.recorded.definitions.beside(keyspace, table, name, &id)?;
    Ok(Manner::Beside(keyspace.clone(), name.to_owned(), id))
}

/// Makes the table, which the files come into.
pub(super) fn make(filling: &Filling<'_>, both: &Both, pending: &mut PendingImport, name: &str) -> Result<Vec<String>, Error> {
    let (Part::Table(keyspace, table), Manner::Beside(_, _, id)) = (&both.part, &pending.manner) else { unreachable!("it was checked") };
    let folder = both.comparison.compared.iter().find(|one| one.element == Element::Table && one.name == *table);
    let folder = folder.and_then(|one| Some(format!("{table}-{}", one.id.as_ref()?)));
    let folder = folder.ok_or_else(|| Error::Refused(format!("the snapshot does not tell the id of `{table}`; nothing was changed")))?;
    let statements = both.recorded.definitions.beside(keyspace, table, name, id)?;
    make_beside(&filling.job("", &filling.ctx.stop), &statements)?;
    let at_least = both.survey.tables.get(&(keyspace.clone(), folder.clone())).map_or(0, |coming| coming.sstables);
    pending.tables = vec![Fill { keyspace: keyspace.clone(), name: name.to_owned(), id: id.clone(), kind: Kind::Table, folder, at_least }];
    Ok(Vec::new())
}
