//! The sizes that are part of the format: a reader refuses what is above them, so they can never grow without a new version.

/// Format version that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Most bytes one blob may hold: 1 MiB keeps the smallest rewritten unit of a large file small.
pub const BLOB_MAX: usize = 1 << 20;

/// Most plain bytes one frame may decode to, tar headers and padding included: bounds what a reader must hold.
pub const FRAME_MAX: usize = 4 << 20;

/// Most stored bytes of one frame: what zstd itself makes at most of [`FRAME_MAX`] plain bytes. A frame that is longer is none of ours, and a
/// list that names one would have a reader download and hold more than it must.
pub const FRAME_STORED_MAX: usize = FRAME_MAX + FRAME_MAX / 256;

/// Largest zstd window a frame may ask for, as a power of two (8 MiB): what the `zstd` program accepts without options.
pub const WINDOW_LOG_MAX: u32 = 23;

/// Stored bytes at which a pack is closed: large enough that requests do not dominate, small enough to be held and sent again whole.
pub const PACK_TARGET: usize = 16 << 20;

/// Most stored bytes a pack may have: the target, one frame that does not shrink, and room for framing.
pub const PACK_MAX: usize = PACK_TARGET + FRAME_MAX + (1 << 20);

/// Most plain bytes one file list may have.
pub const FILE_LIST_MAX: usize = 8 << 20;

/// Most bytes one line of a file list, body or pack list may have, its newline not counted.
pub const LINE_MAX: usize = 1 << 20;

/// Most pieces of content on one line; longer content goes on in continuation lines. 2,048 pieces take about 600 KiB of text.
pub const PIECES_PER_LINE: usize = 2048;

/// Most bytes of a manifest head.
pub const HEAD_MAX: usize = 4 << 10;

/// Most bytes of a manifest body: about 200,000 file lists, far above any snapshot that one node makes.
pub const BODY_MAX: usize = 64 << 20;

/// Most bytes of a pack list: one file list cannot refer to more packs than it has lines' worth of text.
pub const PACK_LIST_MAX: usize = FILE_LIST_MAX;

/// Most bytes of the marker, a node file, a removal record, a pin.
pub const SMALL_MAX: usize = 64 << 10;

/// Most bytes of one file of check verdicts or prune marks.
pub const RECORDS_MAX: usize = 64 << 20;

/// Most other sources that a head names with their newest snapshot, so that the head stays below [`HEAD_MAX`].
pub const OTHERS_MAX: usize = 16;
