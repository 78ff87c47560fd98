//! What was seen of a dump on its way to the client.

use std::collections::BTreeSet;

use super::bodies::Bodies;
use super::timed::Timed;
use crate::sys::sorter::Sorter;

/// What was seen.
pub(super) struct Seen {
    pub(super) found: Sorter,
    pub(super) definers: BTreeSet<String>,
    pub(super) creations: u64,
    pub(super) undeclared: u64,
    pub(super) notes: Vec<String>,
    pub(super) is_complete: bool,
    pub(super) has_views: bool,
    pub(super) has_checks: bool,
    pub(super) bodies: Bodies,
    pub(super) timed: Timed,
}
