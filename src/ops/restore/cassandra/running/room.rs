//! The room that it takes to fill tables of a node that runs.
//!
//! `nodetool import --copy-data` links what lies ready into the table's folder (seen on 4.1 and 5.0: it copies only across filesystems, and what
//! is put together lies on that of the data directory), so the bytes count once. What the tables held stays on the disk besides: it lies aside.

use super::super::shares::Root;
use super::super::survey::Survey;
use crate::ops::size;

/// Which part of the bytes that come must stay free beside them: the node builds indexes and writes statistics of what it takes in. Its
/// compactions afterwards look for their room themselves.
const RESERVE_PART: u64 = 10;

/// What must stay free however little comes: a few segments of the commit log (32 MiB each) and memtables that are written out meanwhile.
const RESERVE_MIN: u64 = 128 << 20;

fn reserve(bytes: u64) -> u64 {
    (bytes / RESERVE_PART).max(RESERVE_MIN)
}

/// Why what comes does not fit, if it does not. What is linked needs no room of its own, and is taken in all the same.
pub(super) fn lack(roots: &[Root], survey: &Survey) -> Option<String> {
    let sizes = survey.written().into_iter().zip(&survey.shares);
    let lacks = |root: &Root, written: u64, share: u64| written.saturating_add(reserve(share)) > root.free;
    let (root, (written, share)) = roots.iter().zip(sizes).find(|(root, (written, share))| lacks(root, *written, **share))?;
    Some(format!(
        "{} would have to be put together in {}, {} must stay free beside it for what the node writes, and {} are free there",
        size::in_words(written),
        root.path.display(),
        size::in_words(reserve(*share)),
        size::in_words(root.free)
    ))
}

/// Why tables cannot be filled now that it has been put together, if they cannot.
pub(super) fn lack_beside(roots: &[Root], shares: &[u64]) -> Option<String> {
    let (root, share) = roots.iter().zip(shares).find(|(root, share)| reserve(**share) > root.free)?;
    Some(format!(
        "{} must be free in {} for what the node writes while tables are filled, and {} are by now",
        size::in_words(reserve(*share)),
        root.path.display(),
        size::in_words(root.free)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn root(name: &str, free: u64) -> Root {
        Root { path: name.into(), device: 0, owner: (0, 0), mode: 0o750, free }
    }

    #[test]
    fn room_is_asked_for_beside_what_comes_and_once_more_when_it_has_come() {
        let roots = |a: u64, b: u64| [root("/a", a), root("/b", b)];
        let all_written = Survey { shares: vec![10 * GIB, 0], linked: vec![0, 0], ..Survey::default() };
        assert_eq!(lack(&roots(11 * GIB, RESERVE_MIN), &all_written), None);
        let why = lack(&roots(11 * GIB - 1, RESERVE_MIN), &all_written).unwrap();
        assert!(why.contains("/a") && why.contains("must stay free beside it"), "{why}");
        let why = lack(&roots(11 * GIB, RESERVE_MIN - 1), &all_written).unwrap();
        assert!(why.contains("/b"), "it must stay free where nothing comes, too");
        let linked = Survey { linked: vec![9 * GIB, 0], ..all_written };
        assert_eq!(lack(&roots(2 * GIB, RESERVE_MIN), &linked), None);
        assert!(lack(&roots(2 * GIB - 1, RESERVE_MIN), &linked).unwrap().contains("/a"));
        assert_eq!(lack_beside(&roots(GIB, RESERVE_MIN), &[10 * GIB, 0]), None);
        assert!(lack_beside(&roots(GIB - 1, RESERVE_MIN), &[10 * GIB, 0]).unwrap().contains("/a"));
    }
}
