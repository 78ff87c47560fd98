//! A SQLite database as a snapshot: one file, made by the database itself.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::pieces::Cutting;
use super::writer::{Writer, single};
use super::{Taken, facts};
use crate::archive::Method;
use crate::format::entry::{Entry, Kind, Time};
use crate::format::path::RelPath;
use crate::ops::copies::{DATA, LINES};
use crate::ops::spec::SourceSpec;
use crate::ops::{Context, Error};
use crate::source;
use crate::source::directory::Content;

/// How much of the file is read at once.
const READ: usize = 256 << 10;

/// Lets SQLite write a copy of the database, proves it, then cuts and hashes it.
pub(super) fn take_sqlite(ctx: &Context, spec: &SourceSpec, path: &Path, partial: &Path) -> Result<Taken, Error> {
    let name = file_name(path)?;
    let target = partial.join(DATA).join(&name);
    let of_kind = source::sqlite::take(path, &target, &ctx.stop)?;
    let live = std::fs::metadata(path).map_err(Error::file("read", path))?;
    let mut writer = Writer::create(&partial.join(LINES))?;
    let root = Entry { mode: 0o700, mtime: mtime(&live), ..Entry::new(RelPath::root(), Kind::Directory) };
    writer.entry(root, super::pieces::Pieces::of(Vec::new()))?;

    let mut file = File::open(&target).map_err(Error::file("read", &target))?;
    let size = file.metadata().map_err(Error::file("read", &target))?.len();
    ctx.meter.set_total(size);
    let mut cutting = Cutting::new(Method::ContentDefined, size, &ctx.state()?.work()?);
    let mut buffer = vec![0; READ];
    loop {
        ctx.stop.check()?;
        let read = file.read(&mut buffer).map_err(Error::file("read", &target))?;
        if read == 0 {
            break;
        }
        cutting.bytes(&buffer[..read]);
        ctx.meter.add_bytes(read as u64);
    }
    let pieces = cutting.finish()?;
    let entry = Entry {
        size: pieces.bytes,
        mode: live.mode() & 0o7777,
        uid: live.uid(),
        gid: live.gid(),
        mtime: mtime(&live),
        ..Entry::new(single(&name)?, Kind::File)
    };
    let read_bytes = pieces.bytes;
    writer.entry(entry, pieces)?;
    let of_kind = serde_json::to_value(&of_kind).expect("facts are plain JSON");
    Ok((writer, read_bytes, facts(ctx, spec, of_kind)))
}

/// The name of the database's file, which is its name in the snapshot.
pub(crate) fn file_name(path: &Path) -> Result<String, Error> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Error::Usage(format!("{} does not name a file in UTF-8", path.display()))),
    }
}

fn mtime(live: &std::fs::Metadata) -> Time {
    Time { seconds: live.mtime(), nanoseconds: u32::try_from(live.mtime_nsec()).unwrap_or(0) }
}
