//! How the memory that the program may take is divided.
//!
//! A packing thread holds a plain frame, its compressed form, its decoded form and a compressor: about 16 MiB.
//! Packs take up to 21 MiB each: one being filled, and those in flight. The rest of the program takes about 24 MiB.

use super::Context;

/// Packs that travel at once: with one being sent and one waiting, the line is busy while the next is filled.
pub const PACKS_IN_FLIGHT: usize = 2;

/// File lists that travel at once; they are small.
pub const LISTS_IN_FLIGHT: usize = 2;

/// What one packing thread takes.
const THREAD: u64 = 16 << 20;

/// What the program takes besides packing threads: packs in flight and being filled, and itself.
const BASE: u64 = 76 << 20;

/// Threads that compress frames: as many as configured, but no more than the memory allows, and at least one.
pub fn packing_threads(ctx: &Context) -> usize {
    let allowed = ctx.memory.saturating_sub(BASE) / THREAD;
    usize::try_from(allowed).unwrap_or(usize::MAX).clamp(1, ctx.threads.max(1))
}

/// What one thread that checks packs takes: the pack, a decoded frame, a decoder.
const CHECKING_THREAD: u64 = 27 << 20;

/// What `verify` takes besides: a pack that travels, sorters, and itself.
const CHECKING_BASE: u64 = 72 << 20;

/// Threads that check packs: as many as configured, but no more than the memory allows, and at least one.
pub fn checking_threads(ctx: &Context) -> usize {
    let allowed = ctx.memory.saturating_sub(CHECKING_BASE) / CHECKING_THREAD;
    usize::try_from(allowed).unwrap_or(usize::MAX).clamp(1, ctx.threads.max(1))
}
