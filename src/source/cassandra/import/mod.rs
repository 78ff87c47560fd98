//! Files come into tables of a node that runs: `nodetool import`, and what proves that it did what it says.
//!
//! It says that all went well for a folder without SSTables, for files of a format that the node does not know, and where a checksum is missing
//! (seen on 4.1.10 and 5.0.9). So what lies ready is proved to be whole before ([`staged`]), each SSTable is looked for afterwards by its size and
//! checksum (`evidence`), the node must have as many more open (`counts`, `open`), every table must answer, and its indexes be built (`prove`).
//! Views are not imported where tables are emptied first: the node makes them anew from what has come (`super::anew`).
//!
//! Reading order: [`safeguard()`] sets aside what there is; [`check_target`] proves that it is the node that was meant, [`check_views`] that no view stays behind; [`compacting`] and [`compaction_off`] have compaction stand still; [`fill()`] empties
//! the tables, or does not, and takes the files in. The old state comes back by [`fill()`] with what was set aside; before that it is seen to
//! ([`set_apart`], [`wait_for_others`]) that an import that goes on in the node, though nobody waits for it any more, brings nothing more.

mod allowed;
mod beside;
mod compaction;
mod counts;
mod evidence;
mod fill;
mod open;
mod prove;
mod safeguard;
mod settle;
mod staged;
mod target;
mod views;

pub use allowed::check_may_empty;
pub use beside::{drop_beside, make_beside};
pub use compaction::{compacting, compaction_off, compaction_on};
pub(super) use counts::Counts;
pub use fill::{Before, Fill, check_ready, count_ready, fill};
pub use prove::{prove, views_under_way};
pub use safeguard::{Aside, safeguard};
pub use settle::{apart, bring_back, set_apart, wait_for_others};
pub use target::check_target;
pub use views::{check_views, left_out};
