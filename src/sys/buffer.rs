//! Large buffers that go back to the system the moment they are dropped.
//!
//! The C library keeps large blocks that were freed, and under several threads the next one seldom fits into what it kept: a program that
//! holds 90 MiB was seen to take 168. So what is as large as a pack does not come from it.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use memmap2::MmapMut;

/// Room for so many bytes and no more. Only what was written takes memory.
pub struct Buffer {
    room: MmapMut,
    length: usize,
}

impl Buffer {
    /// An empty buffer with room for `capacity` bytes.
    ///
    /// # Panics
    /// When the system has no address space left, as every allocation does.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { room: MmapMut::map_anon(capacity).expect("there is address space for a buffer"), length: 0 }
    }

    /// Adds bytes.
    ///
    /// # Panics
    /// When there is no room for them: the caller knows the bound.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.room[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// How many bytes still fit.
    pub fn room(&self) -> usize {
        self.room.len() - self.length
    }

    /// The room that is left, to be read into; [`Buffer::filled`] says how much was.
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.room[self.length..]
    }

    /// So many bytes of [`Buffer::spare`] count from now on.
    ///
    /// # Panics
    /// When there were not so many.
    pub fn filled(&mut self, bytes: usize) {
        assert!(bytes <= self.room.len() - self.length, "no more is filled than there is room");
        self.length += bytes;
    }

    /// Forgets the bytes; the memory stays, to be filled again.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The bytes, without copying them.
    pub fn freeze(self) -> Bytes {
        let length = self.length;
        Bytes::from_owner(self.room).slice(..length)
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.room[..self.length]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("length", &self.length).field("room", &self.room.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_what_was_put_in_and_nothing_else() {
        let mut buffer = Buffer::with_capacity(10);
        buffer.extend_from_slice(b"abc");
        buffer.spare()[..2].copy_from_slice(b"de");
        buffer.filled(2);
        assert_eq!(&*buffer, b"abcde");
        assert_eq!(buffer.spare().len(), 5);
        buffer.clear();
        assert!(buffer.is_empty());
        buffer.extend_from_slice(b"fghij");
        assert_eq!(buffer.freeze(), "fghij");
        assert_eq!(Buffer::with_capacity(0).freeze(), "");
    }

    #[test]
    #[should_panic(expected = "no more is filled")]
    fn a_buffer_is_never_longer_than_its_room() {
        Buffer::with_capacity(10).filled(11);
    }
}
