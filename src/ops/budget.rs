//! How the memory that the program may take is divided.
//!
//! What packing takes depends on the level and is told by [`PackSettings::memory`], the pack that is being filled included. Packs that
//! travel take about 16 MiB each, and the rest of the program about 24 MiB. Sealing streams: it takes a few chunks of 64 KiB.

use super::Context;
use crate::archive::PackSettings;
use crate::format::limits::{PACK_MAX, PACK_TARGET};
use crate::format::marker::Encryption;

/// Packs that travel at once: with one being sent and one waiting, the line is busy while the next is filled.
pub const PACKS_IN_FLIGHT: usize = 2;

/// File lists that travel at once; they are small.
pub const LISTS_IN_FLIGHT: usize = 2;

/// What the program takes besides packing: the packs in flight, and itself.
const BASE: u64 = (PACKS_IN_FLIGHT as u64) * (PACK_TARGET as u64) + (24 << 20);

/// How to pack at this zstd level: as many threads as configured, but no more than the memory allows, and at least one.
pub fn packing(ctx: &Context, level: i32) -> PackSettings {
    let of = |threads: usize| PackSettings { level, threads, in_flight: threads + 1 };
    let fits = |settings: &PackSettings| BASE + settings.memory() as u64 <= ctx.memory;
    (1..=ctx.threads.max(1)).rev().map(of).find(fits).unwrap_or_else(|| of(1))
}

/// What one thread that copies or assembles files takes: buffers of files, a decoded frame, and the packs that its jobs keep alive.
const FILE_THREAD: u64 = 12 << 20;

/// What those take besides: a pack that travels, sorters, and the program itself.
const FILE_BASE: u64 = 64 << 20;

/// Threads that copy or assemble files: as many as configured, but no more than the memory allows, and at least one.
pub fn file_threads(ctx: &Context) -> usize {
    let allowed = ctx.memory.saturating_sub(FILE_BASE) / FILE_THREAD;
    usize::try_from(allowed).unwrap_or(usize::MAX).clamp(1, ctx.threads.max(1))
}

/// Threads that write what comes from the repository: as [`file_threads`], with room for the pack that is being opened where it is encrypted.
pub fn assembling_threads(ctx: &Context, encryption: Encryption) -> usize {
    let opening = if encryption == Encryption::Age { PACK_MAX as u64 } else { 0 };
    let allowed = ctx.memory.saturating_sub(FILE_BASE + opening) / FILE_THREAD;
    usize::try_from(allowed).unwrap_or(usize::MAX).clamp(1, ctx.threads.max(1))
}

/// What one thread that checks packs takes: the pack, a decoded frame, a decoder.
const CHECKING_THREAD: u64 = 27 << 20;

/// What `verify` takes besides: a pack that travels, sorters, and itself.
const CHECKING_BASE: u64 = 72 << 20;

/// Threads that check packs: as many as configured, but no more than the memory allows, and at least one. An encrypted pack is held twice,
/// as it is stored and as it opens.
pub fn checking_threads(ctx: &Context, encryption: Encryption) -> usize {
    let opening = if encryption == Encryption::Age { PACK_MAX as u64 } else { 0 };
    let allowed = ctx.memory.saturating_sub(CHECKING_BASE) / (CHECKING_THREAD + opening);
    usize::try_from(allowed).unwrap_or(usize::MAX).clamp(1, ctx.threads.max(1))
}
