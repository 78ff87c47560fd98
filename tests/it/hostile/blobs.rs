//! Blobs, frames, packs and lists that are not what they are said to be.

use std::fs;

use serde_json::{Value, json};
use windlass::format::body::Role;
use windlass::format::digest::Digest;

use super::{fetch, lines_are_refused, node, refused, text_of, verified, wide};
use crate::support::forge::{self, Forge, Packed, file, folder, frame, hollow, pack_key};

/// Makes the piece of a file's content from a sound pack.
type Lie<'a> = &'a dyn Fn(&Packed, Digest) -> Value;

/// Makes a pack list from a pack and its size.
type PackListLie<'a> = &'a dyn Fn(Digest, usize) -> String;

/// One file of the tree, in a pack of its own.
fn sound(forge: &mut Forge<'_>, path: &str, bytes: &[u8]) -> Value {
    let packed = Packed::of(&[bytes]);
    let pack = forge.pack(&packed.bytes);
    file(path, bytes.len(), &[packed.piece(pack, 0)])
}

#[test]
fn blobs_that_are_not_what_the_list_says_are_refused() {
    let large = vec![b'x'; (1 << 20) + 1];
    let cases: [(&str, Lie<'_>, &str); 9] = [
        ("a blob longer than it says", &|_, pack| forge::piece(Digest::of(b"blob"), 3, pack, (24, 0), 512), "of 4 bytes lies in its place"),
        (
            "a blob shorter than it says",
            &|_, pack| forge::piece(Digest::of(b"blob"), 5, pack, (24, 0), 512),
            "of 4 bytes lies in its place",
        ),
        ("another digest", &|_, pack| forge::piece(Digest::of(b"other"), 4, pack, (24, 0), 512), "lies in its place"),
        ("a place in the padding", &|_, pack| forge::piece(Digest::of(b"blob"), 4, pack, (24, 0), 1024), "do not lie in a frame"),
        ("a place that is not aligned", &|_, pack| forge::piece(Digest::of(b"blob"), 4, pack, (24, 0), 513), "do not lie in a frame"),
        ("a place beyond the frame", &|_, pack| forge::piece(Digest::of(b"blob"), 4, pack, (24, 0), 1 << 20), "do not lie in a frame"),
        ("the middle of a frame", &|_, pack| forge::piece(Digest::of(b"blob"), 4, pack, (25, 0), 512), "no zstd frame"),
        ("a place beyond the pack", &|_, pack| forge::piece(Digest::of(b"blob"), 4, pack, (1 << 20, 0), 512), "cut short"),
        ("half a frame", &|_, pack| forge::piece(Digest::of(b"blob"), 4, pack, (24, 10), 512), "frame"),
    ];
    for (case, lie, why) in cases {
        let node = node();
        let mut forge = Forge::new(&node);
        let packed = Packed::of(&[b"blob"]);
        let pack = forge.pack(&packed.bytes);
        let mut piece = lie(&packed, pack);
        if piece["frame"][1] == "0" {
            piece["frame"][1] = packed.piece(pack, 0)["frame"][1].clone();
        }
        let length: usize = piece["length"].as_str().unwrap().parse().unwrap();
        forge.lines(&[folder(""), file("a", length, &[piece])]);
        forge.commit();
        refused(&node, case, &[&pack_key(pack), why]);
    }
    let piece = |length: usize, frame, offset| forge::piece(Digest::of(&large), length, Digest::of(b""), frame, offset);
    for piece in [piece(large.len(), (24, 10), 512), piece(0, (24, 10), 512), piece(1, (24, 22 << 20), 512), piece(1, (24, 10), 5 << 20)] {
        let length: usize = piece["length"].as_str().unwrap().parse().unwrap();
        lines_are_refused("a piece above the limits", &[folder(""), file("a", length, &[piece])], "a");
    }
    let unplaced = json!({"blob": Digest::of(b"x"), "length": "1"});
    lines_are_refused("a blob in no pack", &[folder(""), file("a", 1, &[unplaced])], "a blob that lies in no pack");
    let half = json!({"blob": Digest::of(b"x"), "length": "1", "pack": Digest::of(b"y")});
    lines_are_refused("a blob in no frame", &[folder(""), file("a", 1, &[half])], "without the others");
}

/// A pack of one frame with one file in it, whose frame is another than the list hopes.
fn frames_are_refused(case: &str, stored: Vec<u8>, why: &str) {
    let node = node();
    let mut forge = Forge::new(&node);
    let length = stored.len();
    let pack = forge.pack(&forge::whole(&[stored]));
    forge.lines(&[folder(""), file("a", 4, &[forge::piece(Digest::of(b"blob"), 4, pack, (24, length), 512)])]);
    forge.commit();
    refused(&node, case, &[&pack_key(pack), why]);
}

#[test]
fn frames_above_the_limits_are_refused() {
    let mut plain = forge::member(&Digest::of(b"blob").to_string(), b"blob");
    plain.resize((4 << 20) + 512, 0);
    frames_are_refused("a frame above 4 MiB", frame(&plain), "4194304 are allowed");
    let lying = [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0];
    frames_are_refused("a frame that says it has 4 EiB", lying.to_vec(), "4194304 are allowed");
    plain.truncate(1 << 20);
    frames_are_refused("a window of 16 MiB", wide(&plain), "a window above 8 MiB");
    let mut stored = frame(&plain);
    stored[4] |= 1;
    frames_are_refused("a dictionary", stored, "dictionary");
    frames_are_refused("a bomb inside a list", frame(&vec![0; 64 << 20]), "4194304 are allowed");
}

#[test]
fn file_lists_above_the_limits_are_refused() {
    let padded = |path: &str, length: usize| {
        let line = folder(path).to_string();
        format!("{line}{}\n", " ".repeat(length - line.len())).into_bytes()
    };
    let long_line = padded("", (1 << 20) + 1);
    let long_list: Vec<u8> = ["", "a", "b", "c", "d", "e", "f", "g", "h"].into_iter().flat_map(|path| padded(path, 1 << 20)).collect();
    let torn = folder("").to_string().into_bytes();
    let cases = [
        ("a line above 1 MiB", vec![frame(&long_line)], "a line of more than 1048576 bytes"),
        ("more than 8 MiB", long_list.chunks(4 << 20).map(frame).collect(), "more than 8388608 plain bytes"),
        ("a frame above 4 MiB", vec![frame(&long_list)], "4194304 are allowed"),
        ("a window of 16 MiB", vec![wide(&padded("", 1 << 20))], "a window above 8 MiB"),
        ("an end inside a line", vec![frame(&torn)], "ends inside a line"),
        ("no lines", Vec::new(), "hold no root directory"),
        ("no JSON", vec![frame(b"path\n")], "not the expected JSON"),
        ("no zstd", vec![b"text".to_vec()], "no zstd frame"),
    ];
    for (case, frames, why) in cases {
        let node = node();
        let mut forge = Forge::new(&node);
        let list = forge.list(Role::Files, &forge::stream(&frames));
        forge.commit();
        let words = if frames.is_empty() { vec![why] } else { vec![list.as_str(), why] };
        refused(&node, case, &words);
    }
    let node = node();
    let mut forge = Forge::new(&node);
    let list = forge.list(Role::Files, &frame(&text_of(&[folder("")])));
    forge.commit();
    refused(&node, "no random bytes at the beginning", &[&list, "skippable frame"]);
}

/// They are for verifying and pruning; a fetch goes by the file list itself.
#[test]
fn pack_lists_that_lie_are_named_by_a_verification() {
    let no_pack = Digest::of(b"no such pack");
    let line = |pack: &str, stored: &str| format!("{{\"pack\":\"{pack}\",\"stored\":\"{stored}\"}}\n");
    let cases: [(&str, PackListLie<'_>); 9] = [
        ("a pack is left out", &|_, _| String::new()),
        ("a pack that is not there", &|_, _| line(&no_pack.to_string(), "100")),
        ("another size", &|pack, size| line(&pack.to_string(), &(size + 1).to_string())),
        ("a path for a name", &|_, size| line("../../x", &size.to_string())),
        ("a negative size", &|pack, _| line(&pack.to_string(), "-1")),
        ("a number for a size", &|pack, size| {
            line(&pack.to_string(), &size.to_string()).replace(&format!("\"{size}\""), &size.to_string())
        }),
        ("a pack twice", &|pack, size| line(&pack.to_string(), &size.to_string()).repeat(2)),
        ("an end inside a line", &|pack, size| line(&pack.to_string(), &size.to_string()).trim_end().to_owned()),
        ("an unknown field", &|pack, size| line(&pack.to_string(), &size.to_string()).replace('}', ",\"x\":1}")),
    ];
    for (case, lie) in cases {
        let node = node();
        let mut forge = Forge::new(&node);
        let packed = Packed::of(&[b"blob"]);
        let pack = forge.pack(&packed.bytes);
        let lines = text_of(&[folder(""), file("a", 4, &[packed.piece(pack, 0)])]);
        let packs = lie(pack, packed.bytes.len());
        let list = forge.list_beside(Role::Files, &forge::stream(&[frame(&lines)]), packs.as_bytes());
        forge.commit();
        let found = verified(&node);
        let beside = list.replace(".jsonl.zst", ".packs.jsonl");
        let named = [list, beside, pack_key(pack), pack_key(no_pack)];
        assert!(named.iter().any(|key| found.contains(key)), "{case}: {found}");
        fetch(&node, "new").unwrap();
    }
}

#[test]
fn objects_that_do_not_match_their_names_are_refused() {
    let node = node();
    let mut forge = Forge::new(&node);
    let line = sound(&mut forge, "a", b"what was stored");
    let pack = forge.packs[0].pack;
    let list = forge.lines(&[folder(""), line]);
    forge.commit();
    let path = node.path("bucket").join(&list);
    let other = forge::stream(&[frame(&text_of(&[folder(""), hollow("a", 15)]))]);
    let sound = fs::read(&path).unwrap();
    fs::write(&path, other).unwrap();
    refused(&node, "another list under the name", &[&list, "do not match its name"]);
    fs::write(&path, sound).unwrap();
    let other = Packed::of(&[b"What was stored"]);
    fs::write(node.path("bucket").join(pack_key(pack)), other.bytes).unwrap();
    refused(&node, "another pack under the name", &[&pack_key(pack)]);
}
