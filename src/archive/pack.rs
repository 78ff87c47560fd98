//! Makes packs: read, prove, compress and prove again on several threads; append and seal in order on the caller's.

use std::cell::RefCell;
use std::sync::Mutex;

use crate::format::digest::Digest;
use crate::format::limits::{FRAME_MAX, PACK_MAX};
use crate::sys::meter::Meter;
use crate::sys::ordered;
use crate::sys::random::Random;
use crate::sys::stop::Stop;

use super::codec::{Codec, context_memory};
use super::open_pack::{OpenPack, Placed, SealedPack};
use super::tar_member::{BLOCK, header, space};
use super::{Error, Member, Recipients, Supply};

/// What is to be packed, and what becomes of the packs. Both methods are called on the caller's thread.
pub trait PackPlan {
    /// The caller's own error.
    type Error: From<Error>;

    /// The members of the next frame, as a [`super::FrameGatherer`] gives them; `None` when nothing is left.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn next_frame(&mut self) -> Result<Option<Vec<Member>>, Self::Error>;

    /// Takes a finished pack.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn sealed(&mut self, pack: SealedPack) -> Result<(), Self::Error>;
}

/// How to pack.
#[derive(Clone, Copy, Debug)]
pub struct PackSettings {
    /// zstd level, 1 to 22.
    pub level: i32,
    /// Threads that read and compress, at least 1.
    pub threads: usize,
    /// Frames that may be under way at once, at least `threads`; more than twice the threads gains nothing.
    pub in_flight: usize,
}

impl PackSettings {
    /// Most bytes of memory that [`pack`] holds with these settings, not counting packs that were handed to the plan.
    ///
    /// Each thread: the frame before and after the read-back (2 × 4 MiB), and the compressor's context (2 MiB at level 3, 66 MiB at 15).
    /// Each frame under way: its compressed bytes, at most 4 MiB. And the pack being filled, at most 21 MiB.
    /// With level 3, two threads and four frames under way that is 57 MiB where nothing shrinks, and 40 MiB where data shrinks to a quarter.
    /// Packs that were handed over are the plan's to count: two that travel take another 33 MiB, which stays below 128 MiB in all.
    pub fn memory(&self) -> usize {
        self.threads * (2 * FRAME_MAX + context_memory(self.level)) + self.in_flight * FRAME_MAX + PACK_MAX
    }
}

/// Packs everything the plan names.
///
/// Each member is read through `supply` and must have the SHA-256 that it is named by; each frame is decoded again and compared
/// before it enters a pack; with `recipients` the pack is an age file for them, and opened again to compare. Packs are handed over in the order of their frames. `meter` counts the plain bytes that were packed.
///
/// # Errors
/// The plan's own; [`Error::Mismatch`] and [`Error::Supply`] when the local copy is damaged; [`Error::ReadBack`]; [`Error::Stopped`].
/// A pack that was not handed to the plan is lost.
pub fn pack<P: PackPlan>(
    settings: &PackSettings,
    recipients: &Recipients,
    random: &dyn Random,
    stop: &Stop,
    meter: &Meter,
    supply: &dyn Supply,
    plan: &mut P,
) -> Result<(), P::Error> {
    let buffers = Buffers::default();
    let plan = RefCell::new(plan);
    let mut open: Option<OpenPack> = None;
    ordered::run(
        settings.threads,
        settings.in_flight,
        &mut || {
            stop.check().map_err(Error::from)?;
            plan.borrow_mut().next_frame()
        },
        &|| Worker { codec: None, plain: Vec::new() },
        &|worker: &mut Worker, members: Vec<Member>| worker.frame(settings.level, &members, supply, stop, buffers.take()),
        &mut |frame: Result<Frame, Error>| {
            let frame = frame?;
            let pack = match &mut open {
                Some(pack) => pack,
                none => none.insert(OpenPack::new(random, recipients)?),
            };
            pack.add(&frame.stored, &frame.blobs)?;
            meter.add_bytes(frame.blobs.iter().map(|(_, length, _)| u64::from(*length)).sum());
            buffers.give_back(frame.stored);
            match open.take_if(|pack| pack.is_full()) {
                Some(full) => plan.borrow_mut().sealed(full.seal()?),
                None => Ok(()),
            }
        },
    )?;
    match open {
        Some(last) => plan.borrow_mut().sealed(last.seal()?),
        None => Ok(()),
    }
}

/// Buffers for compressed frames, used again: there are never more than frames under way.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        self.0.lock().expect("nothing panics while it holds this lock").pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.0.lock().expect("nothing panics while it holds this lock").push(buffer);
    }
}

/// A finished frame and what is in it.
struct Frame {
    stored: Vec<u8>,
    blobs: Vec<Placed>,
}

/// What one thread keeps from frame to frame. The codec is made with the first frame, where a failure can be reported.
struct Worker {
    codec: Option<Codec>,
    plain: Vec<u8>,
}

impl Worker {
    fn frame(&mut self, level: i32, members: &[Member], supply: &dyn Supply, stop: &Stop, mut stored: Vec<u8>) -> Result<Frame, Error> {
        let length = members.iter().map(|member| space(member.length)).sum::<usize>();
        if length > FRAME_MAX {
            return Err(Error::TooLarge { what: "a frame", length: length as u64, limit: FRAME_MAX as u64 });
        }
        self.plain.clear();
        let mut blobs = Vec::with_capacity(members.len());
        for member in members {
            stop.check()?;
            blobs.push(self.add(member, supply)?);
        }
        let codec = match &mut self.codec {
            Some(codec) => codec,
            none => none.insert(Codec::new(level)?),
        };
        codec.seal(&self.plain, &mut stored)?;
        Ok(Frame { stored, blobs })
    }

    fn add(&mut self, member: &Member, supply: &dyn Supply) -> Result<Placed, Error> {
        self.plain.extend_from_slice(&header(&member.digest, member.length));
        let start = self.plain.len();
        let end = start + member.length as usize;
        self.plain.resize(end.next_multiple_of(BLOCK), 0);
        let bytes = &mut self.plain[start..end];
        supply.read(member, bytes).map_err(|cause| Error::Supply { path: member.path.clone(), cause })?;
        if Digest::of(bytes) != member.digest {
            return Err(Error::Mismatch { path: member.path.clone() });
        }
        let offset = u32::try_from(start).expect("a frame is at most 4 MiB");
        Ok((member.digest, member.length, offset))
    }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
pub(super) mod tests;
