//! Files ↔ blobs ↔ frames ↔ packs: cut, hash, compress, seal, decode; and the one place that writes a snapshot's files into a folder.
//!
//! Everything is synchronous. Packing is parallel over frames and bounded by bytes: see [`PackSettings::memory`].
//! Whatever is decoded is hostile until its digest has matched.
//!
//! Reading order: [`Cutter`] (file → blobs), [`Member`] and [`FrameGatherer`] (blobs → frames), [`pack`] (frames → packs),
//! [`FrameDecoder`], [`member`] and [`check_pack`] (the way back), [`seal_list`] and [`ListReader`] (file lists), [`Recipients`] (to whom
//! both are sealed), [`Identities`] and [`unseal`] (who opens them),
//! [`LineWriter`] and [`LineReader`] (lines on the node's own disk), [`Target`] (entries → files).

mod check_pack;
mod codec;
mod cut;
mod decoder;
mod error;
mod gather;
mod gear;
mod header;
mod identities;
mod layout;
mod line_reader;
mod line_writer;
mod list;
mod open_pack;
mod pack;
mod raw_frame;
mod recipients;
mod sealing;
mod skippable;
mod tar_member;
mod target;
mod target_attributes;
mod target_files;
mod target_notes;

pub use check_pack::check_pack;
pub use cut::{Cutter, Method};
pub use decoder::FrameDecoder;
pub use error::Error;
pub use gather::{FrameGatherer, Member, Supply};
pub use identities::{IDENTITY_FILE_MAX, Identities, NewIdentity};
pub use layout::{FRAME_HEAD, PACK_FRAMING, blob_end, blob_space, frame_length};
pub use line_reader::LineReader;
pub use line_writer::LineWriter;
pub use list::{ListReader, SealedList, seal_list};
pub use open_pack::SealedPack;
pub use pack::{PackPlan, PackSettings, pack};
pub use recipients::{RECIPIENTS_MAX, Recipients};
pub use sealing::unseal;
pub use tar_member::member;
pub use target::Target;
