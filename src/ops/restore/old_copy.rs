//! Copies that Clearwater's old backup script has made: `db_backup.sql` in a folder that is named by the seconds since 1970.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Options;
use super::dumps::{Dump, Dumps, select};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::ops::name::{SnapshotName, Which};
use crate::ops::origin::Origin;
use crate::ops::spec::MysqlSettings;
use crate::source::mysql::{COMPLETED, DUMP_FILE};

/// Digits of such a name: seconds, and milliseconds in later scripts.
const SECONDS: usize = 10;
const MILLISECONDS: usize = 13;

/// How much of a dump's end is looked at for its closing line.
const END: u64 = 4 << 10;

/// How much of its beginning is looked at for the name of its database.
const BEGINNING: u64 = 8 << 10;

/// How many copies are named when one has to be chosen.
const NAMED: usize = 5;

/// The old copy that is asked for: in the one folder that bytes may come from, or in a folder there that the snapshot's name names.
///
/// # Errors
/// [`Error::Refused`] when the dump there is not whole; [`Error::Usage`] when a copy has to be chosen; [`Error::Absent`].
pub(super) fn of(settings: &MysqlSettings, name: &SnapshotName, options: &Options) -> Result<Option<Dumps>, Error> {
    let [Origin::Folder(folder)] = &options.from[..] else { return Ok(None) };
    let Some(copy) = find(folder, &name.which)? else { return Ok(None) };
    let file = copy.join(DUMP_FILE);
    let size = check_whole(&file)?;
    let database = match (&options.part.database, &settings.databases[..]) {
        (Some(database), of_source) if !of_source.contains(database) => {
            return Err(Error::Absent(format!("the source has no database `{database}`: it has {}", of_source.join(", "))));
        }
        (Some(database), _) => database.clone(),
        (None, [database]) => database.clone(),
        _ => return Err(Error::Usage("the source has several databases: say with --database which one the dump is of".into())),
    };
    let mut warnings = Vec::new();
    let mut dump = Dump::at(file.clone(), &database);
    if let Some(said) = database_of(&file)?.filter(|said| *said != database) {
        warnings.push(format!("{} says that it is of the database `{said}`, and is restored as `{database}`", file.display()));
        dump.original = said;
    }
    let mut databases = vec![dump];
    let part = super::Part { database: None, ..options.part.clone() };
    select(&mut databases, &part)?;
    let id = SnapshotId::from_timestamp(instant(&copy, &file)?);
    Ok(Some(Dumps { id, databases, facts: None, found: None, files: 1, bytes: size, download_bytes: 0, warnings }))
}

/// The folder with the dump.
fn find(folder: &Path, which: &Which) -> Result<Option<PathBuf>, Error> {
    if let Which::Prefix(name) = which
        && epoch(name).is_some()
        && folder.file_name().is_none_or(|own| own != name.as_str())
    {
        let copy = folder.join(name);
        if copy.join(DUMP_FILE).is_file() {
            return Ok(Some(copy));
        }
        return Err(Error::Absent(format!("there is no {}", copy.join(DUMP_FILE).display())));
    }
    if folder.join(DUMP_FILE).is_file() {
        return Ok(Some(folder.to_owned()));
    }
    let entries = match fs::read_dir(folder) {
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        entries => entries.map_err(Error::file("read the folder", folder))?,
    };
    let mut copies: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join(DUMP_FILE).is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| epoch(name).is_some())
        .collect();
    copies.sort_by_key(|name| std::cmp::Reverse(epoch(name)));
    copies.truncate(NAMED);
    let folder = folder.display();
    Err(Error::Usage(match &copies[..] {
        [one] => format!("{folder} holds one copy: name it, SOURCE/{one}"),
        [first, ..] => format!("{folder} holds several copies: name one, such as SOURCE/{first} (the newest are {})", copies.join(", ")),
        [] => return Ok(None),
    }))
}

/// The instant that a folder's name stands for.
fn epoch(name: &str) -> Option<Timestamp> {
    if !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = name.parse().ok()?;
    match name.len() {
        SECONDS => Timestamp::from_second(number).ok(),
        MILLISECONDS => Timestamp::from_millisecond(number).ok(),
        _ => None,
    }
}

/// When the copy was made: as its folder says, else when the file was written.
fn instant(copy: &Path, file: &Path) -> Result<Timestamp, Error> {
    if let Some(instant) = copy.file_name().and_then(|name| name.to_str()).and_then(epoch) {
        return Ok(instant);
    }
    let modified = fs::metadata(file).and_then(|meta| meta.modified()).map_err(Error::file("read", file))?;
    Timestamp::try_from(modified).map_err(|_| Error::Refused(format!("{} is of no year that can be told", file.display())))
}

/// That the dump has its closing line; gives its size.
fn check_whole(path: &Path) -> Result<u64, Error> {
    let failed = || Error::file("read", path);
    let mut file = File::open(path).map_err(failed())?;
    let size = file.metadata().map_err(failed())?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(END))).map_err(failed())?;
    file.take(END).read_to_end(&mut end).map_err(failed())?;
    let end = String::from_utf8_lossy(&end);
    let last = end.trim_end().rsplit('\n').next().unwrap_or_default();
    if last.starts_with(COMPLETED) {
        return Ok(size);
    }
    let what = if size == 0 { "is empty" } else { "ends without the line that a dump program writes last" };
    Err(Error::Refused(format!("{} {what}, so it is no whole dump; nothing was changed", path.display())))
}

/// The database that the dump says it is of.
fn database_of(path: &Path) -> Result<Option<String>, Error> {
    let mut beginning = Vec::new();
    let file = File::open(path).map_err(Error::file("read", path))?;
    file.take(BEGINNING).read_to_end(&mut beginning).map_err(Error::file("read", path))?;
    let beginning = String::from_utf8_lossy(&beginning);
    let said = beginning.lines().find_map(|line| line.strip_prefix("-- Host:")?.split_once("Database:"));
    Ok(said.map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(folder: &Path, name: &str, text: &str) {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join(DUMP_FILE), text).unwrap();
    }

    fn asked(folder: PathBuf, name: &str) -> Result<Option<Dumps>, Error> {
        let options = Options { from: vec![Origin::Folder(folder)], ..Options::default() };
        of(&MysqlSettings::new(vec!["ellis".into()]), &name.parse().unwrap(), &options)
    }

    #[test]
    fn a_copy_is_named_by_its_folder_or_in_the_folder_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let whole = "-- MySQL dump 10.13\n--\n-- Host: localhost    Database: ellis\n-- Dump completed on 2014-01-01  0:00:00\n";
        copy(folder.path(), "1388534400", whole);
        copy(folder.path(), "1388534500123", whole);
        let dumps = asked(folder.path().join("1388534400"), "ellis/latest").unwrap().unwrap();
        assert_eq!((dumps.id.to_string().as_str(), dumps.bytes), ("20140101T000000000Z", whole.len() as u64));
        let dumps = asked(folder.path().to_owned(), "ellis/1388534500123").unwrap().unwrap();
        assert_eq!(dumps.id.to_string(), "20140101T000140123Z");
        let error = asked(folder.path().to_owned(), "ellis/latest").err().unwrap();
        assert!(matches!(&error, Error::Usage(why) if why.contains("the newest are 1388534500123, 1388534400")), "{error}");
        fs::remove_dir_all(folder.path().join("1388534400")).unwrap();
        let error = asked(folder.path().to_owned(), "ellis/latest").err().unwrap().to_string();
        assert!(error.contains("holds one copy") && error.contains("SOURCE/1388534500123"), "{error}");
        assert!(matches!(asked(folder.path().to_owned(), "ellis/1388534401"), Err(Error::Absent(_))));
        assert!(asked(tempfile::tempdir().unwrap().path().to_owned(), "ellis/latest").unwrap().is_none());
        assert!(asked("/nowhere/at/all".into(), "ellis/latest").unwrap().is_none());
    }

    #[test]
    fn a_copy_goes_into_a_database_of_the_source_alone() {
        let folder = tempfile::tempdir().unwrap();
        copy(folder.path(), "1388534400", "-- Dump completed\n");
        let into = |database: &str| {
            let part = super::super::Part { database: Some(database.into()), ..Default::default() };
            let options = Options { from: vec![Origin::Folder(folder.path().join("1388534400"))], part, ..Options::default() };
            of(&MysqlSettings::new(vec!["ellis".into(), "homer".into()]), &"ellis/latest".parse().unwrap(), &options)
        };
        assert_eq!(into("homer").unwrap().unwrap().databases[0].live, "homer");
        for other in ["mysql", "other", ""] {
            assert!(matches!(into(other), Err(Error::Absent(why)) if why.contains("it has ellis, homer")));
        }
    }

    #[test]
    fn a_copy_that_is_not_whole_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("1388534400", ""), ("1388534401", "CREATE TABLE t (a INT);\n"), ("1388534402", "-- Dump completed\nSELECT 1;\n")]
        {
            copy(folder.path(), name, text);
            assert!(matches!(asked(folder.path().join(name), "ellis/latest"), Err(Error::Refused(_))));
        }
    }

    #[test]
    fn a_dump_of_another_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        copy(folder.path(), "1388534400", "-- Host: localhost    Database: homer\n-- Dump completed\n");
        let dumps = asked(folder.path().join("1388534400"), "ellis/latest").unwrap().unwrap();
        assert_eq!((dumps.databases[0].original.as_str(), dumps.databases[0].live.as_str()), ("homer", "ellis"));
        assert_eq!(dumps.warnings.len(), 1);
    }
}
