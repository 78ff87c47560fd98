use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::archive::{Cutter, FrameDecoder, FrameGatherer, Method, check_pack, member};
use crate::format::entry::{Location, Piece};
use crate::format::limits::{BLOB_MAX, PACK_TARGET};
use crate::format::path::RelPath;
use crate::sys::random::SeededRandom;

/// Files in memory, as a local copy would hold them.
#[derive(Default)]
pub(crate) struct Files(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>);

impl Supply for Files {
    fn read(&self, member: &Member, bytes: &mut [u8]) -> io::Result<()> {
        let file = self.0.get(member.path.as_bytes()).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(member.offset).unwrap();
        bytes.copy_from_slice(file.get(start..start + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

pub(crate) struct Plan {
    frames: std::vec::IntoIter<Vec<Member>>,
    pub(crate) packs: Vec<SealedPack>,
    fail_after: usize,
}

impl PackPlan for Plan {
    type Error = Error;

    fn next_frame(&mut self) -> Result<Option<Vec<Member>>, Error> {
        Ok(self.frames.next())
    }

    fn sealed(&mut self, pack: SealedPack) -> Result<(), Error> {
        if self.packs.len() == self.fail_after {
            return Err(Error::damaged("enough packs"));
        }
        self.packs.push(pack);
        Ok(())
    }
}

impl Files {
    pub(crate) fn of<const N: usize>(files: [(&str, Vec<u8>); N]) -> Self {
        Self(files.into_iter().map(|(path, bytes)| (path.as_bytes().to_vec(), bytes)).collect())
    }

    fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for (path, bytes) in &self.0 {
            let mut cutter = Cutter::new(Method::ContentDefined, bytes.len() as u64);
            let mut offset = 0;
            let mut emit = |piece: Piece| {
                if let Piece::Blob { digest, length, .. } = piece {
                    members.push(Member { path: RelPath::new(path.clone()).unwrap(), offset, length, digest });
                }
                offset += piece.length();
            };
            cutter.push(bytes, &mut emit);
            cutter.finish(&mut emit);
        }
        members
    }

    pub(crate) fn plan(&self) -> Plan {
        let mut gatherer = FrameGatherer::new();
        let mut frames: Vec<_> = self.members().into_iter().filter_map(|member| gatherer.push(member)).collect();
        frames.extend(gatherer.finish());
        Plan { frames: frames.into_iter(), packs: Vec::new(), fail_after: usize::MAX }
    }

    pub(crate) fn pack(&self, plan: &mut Plan) -> Result<(), Error> {
        let settings = PackSettings { level: 3, threads: 2, in_flight: 4 };
        pack(&settings, &Recipients::default(), &SeededRandom::new(1), &Stop::default(), &Meter::default(), self, plan)
    }

    pub(crate) fn packs(&self) -> Vec<SealedPack> {
        let mut plan = self.plan();
        self.pack(&mut plan).unwrap();
        plan.packs
    }
}

pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

/// Decodes every blob of the packs by its location, as a reader does.
fn blobs(packs: &[SealedPack]) -> BTreeMap<Digest, Vec<u8>> {
    let mut decoder = FrameDecoder::new();
    let mut blobs = BTreeMap::new();
    for pack in packs {
        assert_eq!(pack.name, Digest::of(&pack.bytes));
        for (digest, length, at) in &pack.blobs {
            assert_eq!(at.pack, pack.name);
            let start = usize::try_from(at.frame_offset).unwrap();
            let frame = decoder.decode(&pack.bytes[start..start + at.frame_length as usize]).unwrap();
            blobs.insert(*digest, member(frame, at.offset, *length, digest).unwrap().to_vec());
        }
    }
    blobs
}

#[test]
fn the_real_zstd_and_tar_unpack_a_pack_into_files_that_are_named_by_their_digest() {
    let files = Files::of([("a", b"small".to_vec()), ("b", noise(3_000_000, 4)), ("c", vec![0; 513]), ("d", vec![9; 512])]);
    let packs = files.packs();
    assert_eq!(packs.len(), 1);
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("pack.tar.zst"), &packs[0].bytes).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the promise is about these very programs")]
    let run = |script: &str| {
        let shell = std::process::Command::new("bash").args(["-ec", script]).current_dir(place.path()).output().unwrap();
        assert!(shell.status.success(), "{script}: {}", String::from_utf8_lossy(&shell.stderr));
        String::from_utf8(shell.stdout).unwrap()
    };
    run("set -o pipefail; mkdir out; zstd -q -t pack.tar.zst; zstd -dc pack.tar.zst | tar -x -C out");
    let sums = run("cd out; sha256sum *");
    assert_eq!(sums.lines().count(), packs[0].blobs.len());
    for line in sums.lines() {
        let (digest, name) = line.split_once("  ").unwrap();
        assert_eq!(digest, name);
    }
    assert_eq!(run("cd out; cat * | wc -c").trim(), packs[0].plain_bytes.to_string());
}

#[test]
fn packs_are_closed_at_their_target_and_named_in_the_order_of_the_frames() {
    let files = Files::of([("a", noise(20 << 20, 7)), ("b", noise(20 << 20, 8)), ("c", b"tail".to_vec())]);
    let packs = files.packs();
    assert_eq!(packs.len(), 3);
    for pack in &packs[..2] {
        assert!(pack.bytes.len() >= PACK_TARGET && pack.bytes.len() <= PACK_MAX);
    }
    let packed: Vec<_> = packs.iter().flat_map(|pack| pack.blobs.iter().map(|(digest, length, _)| (*digest, *length))).collect();
    assert_eq!(packed, files.members().iter().map(|member| (member.digest, member.length)).collect::<Vec<_>>());
    assert_ne!(packs[0].bytes[8..24], packs[1].bytes[8..24], "every pack begins with random bytes of its own");
}

#[test]
fn a_pack_with_many_small_files_is_closed_before_its_index_grows() {
    let names: Vec<String> = (0..70_000).map(|number| format!("f{number:06}")).collect();
    let files = Files(names.iter().map(|name| (name.as_bytes().to_vec(), name.as_bytes().to_vec())).collect());
    let packs = files.packs();
    assert_eq!(packs.len(), 2);
    assert_eq!(packs.iter().map(|pack| pack.blobs.len()).sum::<usize>(), 70_000);
    assert!(packs[0].blobs.len() < 65_536 + 4096);
}

#[test]
fn nothing_to_pack_makes_no_pack() {
    assert!(Files::default().packs().is_empty());
}

#[test]
fn a_local_copy_that_changed_is_named_and_nothing_of_it_is_sealed() {
    let mut files = Files::of([("a", vec![1; 100]), ("b", vec![2; 100])]);
    let mut plan = files.plan();
    files.0.get_mut(b"b".as_slice()).unwrap()[50] ^= 1;
    let error = files.pack(&mut plan).unwrap_err();
    assert!(matches!(&error, Error::Mismatch { path } if path.as_bytes() == b"b"), "{error}");
    assert!(plan.packs.is_empty());
}

#[test]
fn a_file_that_became_shorter_or_vanished_is_named() {
    let whole = Files::of([("a", vec![1; 100])]);
    for damaged in [Files::of([("a", vec![1; 99])]), Files::default()] {
        let mut plan = whole.plan();
        let error = damaged.pack(&mut plan).unwrap_err();
        assert!(matches!(&error, Error::Supply { path, .. } if path.as_bytes() == b"a"), "{error}");
    }
}

#[test]
fn a_plan_that_fails_ends_the_run() {
    let files = Files::of([("a", noise(40 << 20, 7))]);
    let mut plan = files.plan();
    plan.fail_after = 1;
    assert!(matches!(files.pack(&mut plan), Err(Error::Damaged(why)) if why == "enough packs"));
    assert_eq!(plan.packs.len(), 1);
}

#[test]
fn a_stop_ends_the_run() {
    let files = Files::of([("a", vec![1; 100])]);
    let stop = Stop::default();
    stop.request(15);
    let settings = PackSettings { level: 3, threads: 1, in_flight: 1 };
    let outcome = pack(&settings, &Recipients::default(), &SeededRandom::new(1), &stop, &Meter::default(), &files, &mut files.plan());
    assert!(matches!(outcome, Err(Error::Stopped(_))));
}

#[test]
fn a_frame_that_is_planned_too_large_is_refused() {
    let files = Files::of([("a", noise(5 << 20, 1))]);
    let mut plan = files.plan();
    plan.frames = vec![files.members()].into_iter();
    assert!(matches!(files.pack(&mut plan), Err(Error::TooLarge { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_cut_and_packed_comes_back(
        sizes in prop::collection::vec(prop_oneof![0usize..5000, 0usize..3_000_000], 0..12),
        redundant in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut files = Files::default();
        for (number, size) in sizes.iter().enumerate() {
            let mut bytes = noise(*size, seed ^ number as u64);
            if redundant {
                bytes.iter_mut().for_each(|byte| *byte &= 3);
            }
            files.0.insert(format!("{number:02}").into_bytes(), bytes);
        }
        let packs = files.packs();
        let blobs = blobs(&packs);
        for member in files.members() {
            let file = &files.0[member.path.as_bytes()];
            let start = usize::try_from(member.offset).unwrap();
            prop_assert_eq!(&blobs[&member.digest], &file[start..start + member.length as usize]);
            prop_assert!(member.length as usize <= BLOB_MAX);
        }
        for pack in &packs {
            let mut found = Vec::new();
            check_pack(&pack.bytes, &mut |digest, length, (frame_offset, frame_length), offset| {
                found.push((digest, length, Location { pack: pack.name, frame_offset, frame_length, offset }));
            }).unwrap();
            prop_assert_eq!(&found, &pack.blobs);
            prop_assert_eq!(pack.plain_bytes, found.iter().map(|(_, length, _)| u64::from(*length)).sum::<u64>());
        }
    }
}
