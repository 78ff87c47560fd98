//! Removing what nobody needs any more.

use std::fs;
use std::path::{Component, Path};

use super::databases::Bench;
use super::leftovers::{LEFTOVERS, LeftKey, Leftover, Leftovers};
use super::stays;
use crate::ops::error::chain;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::{Context, Error};
use crate::source::mysql::{Doomed, OwedKey, Undropped, drop_databases, identity, settle_keys, tell_owed};
use crate::sys::stop::Stop;
use crate::sys::tree::remove_tree;

/// Makes, drops and turns foreign keys that an exchange has left, but for those that were tried just now, and then removes what is written down
/// to be removed, as [`clear`] does: keys may have kept it.
pub(super) fn clear_and_mend(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    folder: &Path,
    tried: &[OwedKey],
) -> Result<bool, Error> {
    set_unreadable_apart(ctx, spec, folder)?;
    if let Some(leftovers) = Leftovers::read(folder)? {
        mend_all(ctx, spec, settings, leftovers, folder, tried)?;
    }
    clear(ctx, spec, settings, folder)
}

fn mend_all(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    mut leftovers: Leftovers,
    folder: &Path,
    tried: &[OwedKey],
) -> Result<(), Error> {
    let is_tried = |left: &LeftKey| tried.iter().any(|owed| owed.is_same(&left.owed));
    let (tried, keys): (Vec<LeftKey>, Vec<LeftKey>) = std::mem::take(&mut leftovers.keys).into_iter().partition(is_tried);
    if keys.is_empty() {
        return Ok(());
    }
    leftovers.keys = match mend(ctx, settings, &keys) {
        Ok(left) => left,
        Err(cause) => {
            let cause = chain(&cause);
            ctx.warn_once_of(Some(&spec.name), format!("foreign keys that a restore has left could not be looked at: {cause}"));
            keys.clone()
        }
    };
    let document = folder.join(LEFTOVERS);
    for told in tell_owed(leftovers.keys.iter().map(|left| &left.owed)) {
        let text = format!("{told}; where it is not wanted, take its entry out of {}", document.display());
        ctx.warn_once_of(Some(&spec.name), text);
    }
    if leftovers.keys != keys {
        leftovers.keys.extend(tried);
        leftovers.keep(folder)?;
    }
    Ok(())
}

/// Makes or drops these keys, those of this server alone; gives those that are left.
fn mend(ctx: &Context, settings: &MysqlSettings, keys: &[LeftKey]) -> Result<Vec<LeftKey>, Error> {
    let no_stop = Stop::new();
    let here = identity(settings, &no_stop)?;
    let (own, mut left): (Vec<LeftKey>, Vec<LeftKey>) = keys.iter().cloned().partition(|left| left.server == here);
    let owed: Vec<OwedKey> = own.into_iter().map(|left| left.owed).collect();
    let bench = Bench::new(ctx)?;
    left.extend(settle_keys(bench.around(settings, &no_stop), &owed)?.into_iter().map(|owed| LeftKey::new(&here, owed)));
    Ok(left)
}

/// Removes what is written down to be removed; gives whether all of it is gone. What cannot be removed, because somebody holds it or the
/// account may not, is told and tried again next time: it takes room, and stands in the way of no snapshot.
pub(super) fn clear(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, folder: &Path) -> Result<bool, Error> {
    set_unreadable_apart(ctx, spec, folder)?;
    let Some(mut leftovers) = Leftovers::read(folder)? else { return Ok(true) };
    leftovers.files.retain(|path| file_stays(ctx, spec, folder, path));
    let keys = std::mem::take(&mut leftovers.keys);
    let is_kept = |one: &Leftover| {
        let keeps = |left: &LeftKey| left.server == one.server && left.owed.keeps(&one.database);
        // What is empty, nothing refers to; and one of the others is told of anyway.
        !one.if_empty && !one.is_written && keys.iter().any(keeps)
    };
    let (kept, databases): (Vec<Leftover>, Vec<Leftover>) = std::mem::take(&mut leftovers.databases).into_iter().partition(is_kept);
    for Leftover { database, .. } in &kept {
        let text = format!(
            "`{database}` is needed no more, and stays as long as a foreign key that may point into it is still to be turned: rows of its table \
             would have no parent else"
        );
        ctx.warn_once_of(Some(&spec.name), text);
    }
    leftovers.databases = match drop_leftovers(ctx, spec, settings, &databases, folder) {
        Ok(left) => left,
        Err(cause) => {
            let names: Vec<String> = databases.iter().map(|left| format!("`{}`", left.database)).collect();
            let (names, cause) = (names.join(", "), chain(&cause));
            ctx.warn_once_of(
                Some(&spec.name),
                format!("what is needed no more could not be removed from the server ({names}); it is tried again with the next command: {cause}"),
            );
            databases
        }
    };
    leftovers.databases.extend(kept);
    leftovers.keys = keys;
    leftovers.keep(folder)?;
    Ok(leftovers.databases.is_empty() && leftovers.files.is_empty())
}

/// As [`clear`], of a source that is in no server of databases.
pub(super) fn clear_files(ctx: &Context, spec: &SourceSpec, folder: &Path) -> Result<(), Error> {
    set_unreadable_apart(ctx, spec, folder)?;
    let Some(mut leftovers) = Leftovers::read(folder)? else { return Ok(()) };
    leftovers.files.retain(|path| file_stays_on_node(ctx, spec, folder, path));
    leftovers.keep(folder)
}

fn set_unreadable_apart(ctx: &Context, spec: &SourceSpec, folder: &Path) -> Result<(), Error> {
    if let Some((path, why)) = Leftovers::set_unreadable_apart(folder, ctx.clock.now())? {
        let (path, why) = (path.display(), chain(&why));
        ctx.warn(
            Some(&spec.name),
            format!(
                "what is left of earlier restores cannot be read and is not removed; look at {path}, which names it, and remove both: {why}"
            ),
        );
    }
    Ok(())
}

/// As [`file_stays`], of what lies in folders of ours in those of a Cassandra node.
fn file_stays_on_node(ctx: &Context, spec: &SourceSpec, folder: &Path, path: &Path) -> bool {
    let removed = if is_on_node(spec.name.as_str(), path) {
        remove_tree(path).map_err(|cause| chain(&Error::from(cause)))
    } else {
        let document = folder.join(LEFTOVERS);
        Err(format!(
            "it lies in no folder of `{}`, and is taken for somebody else's: look at it, and take it out of {}",
            spec.name,
            document.display()
        ))
    };
    let Err(why) = removed else { return false };
    let path = path.display();
    ctx.warn_once_of(Some(&spec.name), format!("{path} is needed no more and could not be removed; it is tried again: {why}"));
    true
}

/// Whether a path is one that a restore of this source makes on a Cassandra node: `…/.windlass/backups/SOURCE/…` of a data directory, or
/// `…/.windlass-undo/SOURCE/…` of a folder with commit log, hints or change data.
fn is_on_node(source: &str, path: &Path) -> bool {
    let parts: Vec<Component<'_>> = path.components().collect();
    let is_plain = parts.iter().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let [_, .., top, above, owner, _] = &parts[..] else { return false };
    let ours = above.as_os_str() == ".windlass-undo" || (above.as_os_str() == "backups" && top.as_os_str() == ".windlass");
    path.is_absolute() && is_plain && ours && owner.as_os_str() == source
}

/// Removes a file or a folder that is needed no more, and the folder that it leaves empty; gives whether it stays. Such things lie in the folder
/// of the source's restores alone: what is written down of others is not ours.
fn file_stays(ctx: &Context, spec: &SourceSpec, folder: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(folder).ok().filter(|below| below.components().all(|part| matches!(part, Component::Normal(_))));
    let removed = match below {
        Some(below) if below.components().next().is_some() => remove_tree(path).map_err(|cause| chain(&Error::from(cause))),
        _ => {
            let document = folder.join(LEFTOVERS);
            Err(format!(
                "it does not lie in {}, and is taken for somebody else's: look at it, and take it out of {}",
                folder.display(),
                document.display()
            ))
        }
    };
    match removed {
        Ok(()) => {
            if let Some(emptied) = path.parent().filter(|parent| *parent != folder) {
                // One that holds something still, or is gone, is none of this one's business.
                let _ = fs::remove_dir(emptied);
            }
            false
        }
        Err(why) => {
            let path = path.display();
            ctx.warn_once_of(Some(&spec.name), format!("{path} is needed no more and could not be removed; it is tried again: {why}"));
            true
        }
    }
}

/// Drops databases that nobody needs; gives those that are still to be dropped.
fn drop_leftovers(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    databases: &[Leftover],
    folder: &Path,
) -> Result<Vec<Leftover>, Error> {
    if databases.is_empty() {
        return Ok(Vec::new());
    }
    // Also in a run that is being stopped: what is left would only be in the way of the next one.
    let no_stop = Stop::new();
    let here = identity(settings, &no_stop)?;
    let (own, mut left): (Vec<Leftover>, Vec<Leftover>) =
        databases.iter().cloned().partition(|left| !left.server.is_empty() && left.server == here);
    for Leftover { database, server, .. } in &left {
        let document = folder.join(LEFTOVERS);
        let document = document.display();
        let text = if server.is_empty() {
            format!(
                "`{database}` is needed no more, and nobody has noted on which server it lies (the source is on {here}): look at it, remove it, \
                 and its entry in {document}"
            )
        } else {
            format!(
                "`{database}` is needed no more and lies on the server {server}, while the source is on {here} now: remove it there, and its \
                 entry in {document}; or write the server's new name into that, if it is the same one"
            )
        };
        ctx.warn_once_of(Some(&spec.name), text);
    }
    let bench = Bench::new(ctx)?;
    let doomed: Vec<Doomed<'_>> = own.iter().map(|one| Doomed { database: &one.database, holds: one.holds() }).collect();
    for Undropped { database, stays } in drop_databases(bench.around(settings, &no_stop), &doomed)? {
        for one in own.iter().filter(|one| one.database == database) {
            ctx.warn_once_of(Some(&spec.name), stays::told(one, &stays, folder));
            left.extend(stays::kept(one, &stays));
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_the_source_are_removed_from_a_node() {
        let is_ours = |path: &str| is_on_node("homestead", Path::new(path));
        assert!(is_ours("/data/.windlass/backups/homestead/aside-1") && is_ours("/log/.windlass-undo/homestead/commitlog-1"));
        for other in [
            "/data/.windlass/backups/homestead",
            "/data/.windlass/homestead/aside-1",
            "/data/ks/t-1/backups/homestead/nb-1-big-Data.db",
            "/data/.windlass/backups/homer/aside-1",
            "/data/homestead/t-1",
            "/data/.windlass/backups/homestead/../../../ks",
            "/log/.windlass-undo/homer/commitlog-1",
            "/log/.windlass-undo/homestead",
            "data/.windlass/backups/homestead/aside-1",
            "/",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
