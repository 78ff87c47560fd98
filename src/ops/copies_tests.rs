use super::*;

fn id(n: i64) -> SnapshotId {
    SnapshotId::from_timestamp(Timestamp::from_millisecond(1_700_000_000_000 + n).unwrap())
}

/// `s` sound, `p` with problems, `h` with problems and held; oldest first.
fn going(copies: &str, keep: usize) -> Vec<usize> {
    let copies: Vec<_> = copies.chars().enumerate().map(|(n, c)| (id(n as i64), c == 's', c == 'h')).collect();
    expire(&copies, keep).iter().map(|gone| copies.iter().position(|copy| copy.0 == *gone).unwrap()).collect()
}

#[test]
fn four_newest_stay() {
    assert_eq!(going("ssss", 4), [] as [usize; 0]);
    assert_eq!(going("sssss", 4), [0]);
    assert_eq!(going("sssssss", 4), [0, 1, 2]);
}

#[test]
fn the_newest_sound_copy_stays_among_newer_ones_with_problems() {
    assert_eq!(going("sspppppp", 4), [0, 2, 3, 4]);
    assert_eq!(going("pppppp", 4), [0, 1]);
    assert_eq!(going("spp", 1), [1, 2]);
}

#[test]
fn a_copy_that_is_being_shipped_stays_beyond_four() {
    assert_eq!(going("hsssss", 4), [1]);
}
