//! The part of the splitter that knows whose bytes they are.

use super::{FRAME_MAX, Place, Sink, Splitter, unclear};
use crate::source::mysql::twice::Twice;

impl<S: Sink> Splitter<'_, S> {
    /// Goes on with the file of this database. What comes when it is entered for the second time are its views.
    pub(super) fn enter(&mut self, database: usize) -> Result<(), S::Error> {
        self.leave()?;
        self.place = Place::Database(database);
        if std::mem::replace(&mut self.begun[database], true) {
            self.twice = Some(Twice::new(self.work)?);
            return Ok(());
        }
        let header = std::mem::take(&mut self.header);
        let written = self.sink.write(database, &header);
        self.header = header;
        written
    }

    /// Writes the views of the database that is under way once more, if that is needed.
    pub(super) fn leave(&mut self) -> Result<(), S::Error> {
        let (Some(twice), Place::Database(database)) = (self.twice.take(), self.place) else { return Ok(()) };
        if !twice.is_needed {
            return Ok(());
        }
        self.sink.write(database, b"\n\n--\n-- Once more, because some of the views check what is written through others\n--\n")?;
        twice.give(&mut |bytes| self.sink.write(database, bytes))
    }

    pub(super) fn flush_waiting(&mut self) -> Result<(), S::Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.emit(&waiting)
    }

    pub(super) fn emit(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        self.has_ended_line = false;
        self.keep(bytes)?;
        self.emit_once(bytes)
    }

    /// Keeps bytes that belong to views, to be written once more.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        match &mut self.twice {
            Some(twice) => Ok(twice.keep(bytes)?),
            None => Ok(()),
        }
    }

    pub(super) fn emit_once(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        let frame = match self.place {
            Place::Database(database) => return self.sink.write(database, bytes),
            Place::Header => &mut self.header,
            Place::Footer => &mut self.footer,
        };
        if frame.len() + bytes.len() > FRAME_MAX {
            return Err(unclear("what belongs to no database takes far more than a dump has").into());
        }
        frame.extend_from_slice(bytes);
        Ok(())
    }
}
