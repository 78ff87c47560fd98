//! How the keyspaces of a snapshot are made, as the snapshot itself says.

use crate::format::path::RelPath;
use crate::ops::lists::Lines;
use crate::ops::name::{SnapshotName, Which};
use crate::ops::snapshots::Found;
use crate::ops::{Context, Error, cat, size};

/// The file of a keyspace that says it.
const SCHEMA: &str = "schema.cql";

/// Most bytes of one: some ten thousand tables.
const SCHEMA_MAX: usize = 64 << 20;

/// The statements of each keyspace of a snapshot, one text for each, in the order of their names.
///
/// # Errors
/// [`Error::Damaged`] when one is found sound nowhere; [`Error::Refused`] when it is too large to be one, or no text; what reading gives.
pub(super) fn of(ctx: &Context, found: &Found, lines: &mut dyn Lines) -> Result<Vec<(String, String)>, Error> {
    let name = SnapshotName { source: Some(found.source.clone()), which: Which::Prefix(found.id.to_string()) };
    let mut texts = Vec::new();
    for keyspace in keyspaces(lines)? {
        let path = format!("{keyspace}/{SCHEMA}");
        let mut text = Bounded(Vec::new());
        cat::run(ctx, &name, Some(&found.node), &RelPath::new(path.as_bytes()).map_err(Error::unreadable(&path))?, &mut text)?;
        if text.0.len() > SCHEMA_MAX {
            return Err(Error::Refused(format!("`{path}` of the snapshot has more than {}", size::in_words(SCHEMA_MAX as u64))));
        }
        let text = String::from_utf8(text.0).map_err(|_| Error::Refused(format!("`{path}` of the snapshot is no text")))?;
        texts.push((keyspace, text));
    }
    Ok(texts)
}

/// The keyspaces that the lines say how to make, in order.
fn keyspaces(lines: &mut dyn Lines) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    while let Some(line) = lines.next_line()? {
        if let Some(keyspace) = std::str::from_utf8(line.path().as_bytes()).ok().and_then(|path| path.strip_suffix("/schema.cql"))
            && !keyspace.contains('/')
            && names.last().is_none_or(|last| last != keyspace)
        {
            names.push(keyspace.to_owned());
        }
    }
    Ok(names)
}

/// Takes at most one byte more than it may have.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = (SCHEMA_MAX + 1).saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
