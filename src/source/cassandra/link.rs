//! Files of a snapshot come into the copy: as hard links; where there can be none, as links to those of an earlier copy, or as copies.

use std::fs::{self, File, FileTimes};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::earlier::Beside;
use crate::source::Error;
use crate::sys::meter::Meter;
use crate::sys::stop::Stop;

/// How much of a file is copied at once.
const COPY: usize = 256 << 10;

/// Brings files of a table into the copy.
pub(super) struct Linker<'a> {
    /// The folder of the table in the copy, for each folder of the snapshot; mostly one and the same.
    folders: Vec<PathBuf>,
    stop: &'a Stop,
    meter: &'a Meter,
    /// Files that it brought.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Bytes of those that had to be copied.
    pub(super) copied_bytes: u64,
}

impl<'a> Linker<'a> {
    /// Makes the folders, for nobody else to enter.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn create(folders: Vec<PathBuf>, stop: &'a Stop, meter: &'a Meter) -> Result<Self, Error> {
        folders.iter().try_for_each(|folder| make_folder(folder))?;
        Ok(Self { folders, stop, meter, files: 0, bytes: 0, copied_bytes: 0 })
    }

    /// Brings a file from a folder of the snapshot, which is the one at this place among them, under the same path below it. `earlier` is what
    /// an earlier copy may have of its SSTable.
    ///
    /// # Errors
    /// [`Error::NotWhole`] when the name is taken; [`Error::File`]; [`Error::Stopped`].
    pub(super) fn bring(&mut self, (at, place): (usize, &Path), path: &str, earlier: Option<&Beside<'_>>) -> Result<(), Error> {
        self.stop.check()?;
        let (from, to) = (place.join(path), self.target(at, path)?);
        let bytes = match fs::hard_link(&from, &to) {
            Ok(()) => size_of_link(&from, &to)?,
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
                let why = format!("{path} of {} is there twice, also in {}", self.folders[at].display(), place.display());
                return Err(Error::NotWhole { why });
            }
            Err(cause) if is_no_place_for_links(&cause) && earlier.map_or(Ok(false), |earlier| earlier.link(path, &to))? => {
                size_of_link(&from, &to)?
            }
            Err(cause) if is_no_place_for_links(&cause) => {
                let bytes = self.copy(&from, &to)?;
                self.copied_bytes += bytes;
                bytes
            }
            Err(cause) => return Err(Error::file("link", from)(cause)),
        };
        self.count(bytes);
        Ok(())
    }

    /// Writes a file with what was read of one of the snapshot, with its mode and times: for those that the server changes in place.
    ///
    /// # Errors
    /// As [`Linker::bring`].
    pub(super) fn write(&mut self, (at, place): (usize, &Path), path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.stop.check()?;
        let (from, to) = (place.join(path), self.target(at, path)?);
        let stat = fs::symlink_metadata(&from).map_err(Error::file("look at", &from))?;
        let mut file = create(&to, stat.mode())?;
        file.write_all(bytes).map_err(Error::file("write", &to))?;
        file.set_times(times_of(&stat)).map_err(Error::file("set the times of", &to))?;
        self.count(bytes.len() as u64);
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
        self.meter.add_files(1);
        self.meter.add_bytes(bytes);
    }

    /// Where a path lies in the copy; makes the folder of an index.
    fn target(&self, at: usize, path: &str) -> Result<PathBuf, Error> {
        let of_table = &self.folders[at];
        if let Some((index, _)) = path.split_once('/') {
            let folder = of_table.join(index);
            if !folder.is_dir() {
                make_folder(&folder)?;
            }
        }
        Ok(of_table.join(path))
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<u64, Error> {
        let mut source = File::open(from).map_err(Error::file("read", from))?;
        let stat = source.metadata().map_err(Error::file("look at", from))?;
        if !stat.is_file() {
            return Err(Error::WrongKind { path: from.to_owned(), wanted: "a file" });
        }
        let mut file = create(to, stat.mode())?;
        let (mut buffer, mut bytes) = (vec![0; COPY], 0);
        loop {
            self.stop.check()?;
            let read = source.read(&mut buffer).map_err(Error::file("read", from))?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(Error::file("write", to))?;
            bytes += read as u64;
        }
        file.set_times(times_of(&stat)).map_err(Error::file("set the times of", to))?;
        Ok(bytes)
    }
}

/// The size of a file that was linked.
fn size_of_link(from: &Path, to: &Path) -> Result<u64, Error> {
    let stat = fs::symlink_metadata(to).map_err(Error::file("look at", to))?;
    if stat.is_file() { Ok(stat.size()) } else { Err(Error::WrongKind { path: from.to_owned(), wanted: "a file" }) }
}

/// Makes a folder of the copy, and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(Error::file("create the folder", path))
}

/// Tries to link a file into a folder, and removes the link again: whether a copy there could share it. An error is one that has nothing to do
/// with links.
///
/// # Errors
/// [`Error::File`].
pub(super) fn can_link(from: &Path, folder: &Path) -> Result<bool, Error> {
    let to = folder.join(".windlass-link");
    match fs::remove_file(&to) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(Error::file("remove", to)(cause)),
        _ => {}
    }
    match fs::hard_link(from, &to) {
        Ok(()) => fs::remove_file(&to).map(|()| true).map_err(Error::file("remove", to)),
        Err(cause) if is_no_place_for_links(&cause) => Ok(false),
        Err(cause) => Err(Error::file("link", from)(cause)),
    }
}

/// Another filesystem; one without links; a file of somebody else where the kernel forbids it (`protected_hardlinks`); too many links.
fn is_no_place_for_links(cause: &std::io::Error) -> bool {
    let errnos = [Errno::XDEV, Errno::PERM, Errno::ACCESS, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    errnos.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
}

fn create(path: &Path, mode: u32) -> Result<File, Error> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(Error::file("create", path))?;
    // After it is made, so that the mask for new files takes nothing away; bits that give rights of others are of no use to data.
    file.set_permissions(fs::Permissions::from_mode(mode & 0o777)).map_err(Error::file("set the mode of", path))?;
    Ok(file)
}

fn times_of(stat: &fs::Metadata) -> FileTimes {
    stat.modified().map_or_else(|_| FileTimes::new(), |time| FileTimes::new().set_modified(time))
}
