//! An encrypted repository: who holds the identity gets everything back, and who does not learns neither paths nor digests.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use windlass::format::check::Level;
use windlass::format::digest::Digest;
use windlass::format::path::RelPath;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::catalogue::Catalogue;
use windlass::ops::node::Remote;
use windlass::ops::{self, Error};

use crate::support::forge::{Forge, Packed, file, folder, frame, member, piece, whole};
use crate::support::listing::{Listing, assert_same};
use crate::support::node::{Node, identity, tree};
use crate::support::odd;
use crate::support::tree::noise;

fn verify(node: &Node, level: Level) -> ops::verify::Outcome {
    let options = ops::verify::Options { level, snapshots: Vec::new(), node: None };
    ops::verify::run(&node.context(), &options).unwrap()
}

fn recipients(node: &Node, id: SnapshotId) -> Vec<String> {
    let ctx = node.context();
    let remote = Remote::open(&ctx).unwrap();
    let catalogue = Catalogue::read(&ctx, &remote, &ctx.node, None).unwrap();
    catalogue.snapshots[&(tree(), id)].head.recipients.clone()
}

fn packs(node: &Node) -> BTreeSet<String> {
    node.objects("node-1/packs/").into_iter().collect()
}

fn restore(node: &Node, id: &str) -> Result<ops::restore::Outcome, Error> {
    node.clock.advance(Duration::from_secs(1));
    let plan = ops::restore::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &ops::restore::Options::default())?;
    ops::restore::run(&node.context(), &plan, None)
}

/// Removes the local copies, as if the disk had been lost.
fn lose_copies(node: &Node) {
    fs::remove_dir_all(node.path("local/tree")).unwrap();
}

#[test]
fn with_the_identity_everything_comes_back() {
    let node = Node::encrypted();
    odd::fill(&node.path("tree"));
    node.write("large", odd::text(5 << 20));
    node.init();
    let first = node.backup();
    let before = Listing::of(&node.path("tree"));
    node.write("large", odd::text(6 << 20));
    let second = node.backup();
    assert_same(&before, &Listing::of(&node.fetch(first).unwrap()));
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(second).unwrap()));
    let outcome = verify(&node, Level::Full);
    assert_eq!((outcome.damage, outcome.checked.level, outcome.lowered), (Vec::new(), Level::Full, None));
    for key in node.objects("node-1/").iter().filter(|key| key.contains(".zst")) {
        assert!(key.ends_with(".age"), "{key}");
        assert!(fs::read(node.path("bucket").join(key)).unwrap().starts_with(b"age-encryption.org/v1\n"), "{key}");
    }
    let mut cat = Vec::new();
    let name = format!("tree/{first}").parse().unwrap();
    lose_copies(&node);
    ops::cat::run(&node.context(), &name, None, &RelPath::new(b"large").unwrap(), &mut cat).unwrap();
    assert_eq!(cat, odd::text(5 << 20).as_ref() as &[u8]);
    restore(&node, &first.to_string()).unwrap();
    assert_same(&before, &Listing::of(&node.path("tree")));
}

#[test]
fn what_is_unchanged_is_not_stored_again() {
    let node = Node::encrypted();
    node.write("a", odd::text(3 << 20));
    node.init();
    node.backup();
    let before = packs(&node);
    node.backup();
    assert_eq!(packs(&node), before);
    node.write("b", b"new");
    node.backup();
    assert_eq!(packs(&node).len(), before.len() + 1);
}

#[test]
fn a_node_without_the_identity_does_all_but_read() {
    let mut node = Node::encrypted();
    node.write("a", b"first");
    node.init();
    let identity = node.identity.take();
    let first = node.backup();
    node.write("a", b"second");
    let second = node.backup();
    let outcome = verify(&node, Level::Full);
    assert_eq!((outcome.damage, outcome.checked.level), (Vec::new(), Level::Stored));
    assert!(outcome.lowered.unwrap().contains("no identity"));
    let ctx = node.context();
    assert_eq!(ops::snapshots::View::read(&ctx, None, None).unwrap().rows.len(), 2);
    assert!(ops::status::run(&ctx).unwrap().healthy);
    let show = ops::show::run(&ctx, &format!("tree/{first}").parse().unwrap(), None).unwrap();
    assert_eq!(show.recipients, node.encrypt_to);
    // The local copy needs no key, neither for fetch nor for restore.
    restore(&node, &first.to_string()).unwrap();
    assert_eq!(fs::read(node.path("tree/a")).unwrap(), b"first");
    for error in [node.fetch(second).map(|_| ()).unwrap_err(), {
        lose_copies(&node);
        restore(&node, &second.to_string()).map(|_| ()).unwrap_err()
    }] {
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&node.encrypt_to[0]) && text.contains("--identity-file") && text.contains(&second.to_string()), "{text}");
    }
    let show = ops::show::run(&node.context(), &format!("tree/{first}").parse().unwrap(), None).unwrap();
    assert!(show.facts.is_null());
    assert_eq!(fs::read(node.path("tree/a")).unwrap(), b"first", "nothing was changed");
    node.identity = identity;
    restore(&node, &second.to_string()).unwrap();
    assert_eq!(fs::read(node.path("tree/a")).unwrap(), b"second");
}

#[test]
fn a_wrong_identity_is_told_who_can_open_the_snapshot() {
    let mut node = Node::encrypted();
    node.write("a", b"x");
    node.init();
    let id = node.backup();
    let (other, other_recipient) = identity();
    node.identity = Some(other);
    let text = node.fetch(id).unwrap_err().to_string();
    assert!(text.contains(&node.encrypt_to[0]) && text.contains(&other_recipient), "{text}");
    let outcome = verify(&node, Level::Full);
    assert_eq!((outcome.damage, outcome.checked.level), (Vec::new(), Level::Stored));
    assert!(outcome.lowered.unwrap().contains("sealed to recipients"));
    let rows = ops::key_check::run(&node.context(), None).unwrap();
    assert!(rows[0].problem.as_ref().unwrap().contains(&other_recipient));
}

#[test]
fn known_damage_that_no_identity_at_hand_can_look_at_again_stays_damage() {
    let mut node = Node::encrypted();
    let mut forge = Forge::sealed(&node);
    let wrong = Digest::of(b"other bytes");
    let pack = forge.pack(&whole(&[frame(&member(&wrong.to_string(), b"the bytes"))]));
    let unsound = Packed::of(&[b"sound bytes"]);
    let other = forge.pack(&unsound.bytes);
    forge.lines(&[folder(""), file("b", 11, &[unsound.piece(other, 0)]), file("a", 9, &[piece(wrong, 9, pack, (24, 99), 512)])]);
    forge.commit();
    let names = |outcome: &ops::verify::Outcome| outcome.damage.iter().map(|damage| damage.object.clone()).collect::<Vec<_>>();
    let found = names(&verify(&node, Level::Full));
    assert!(["/packs/", "/files/"].iter().all(|kind| found.iter().any(|object| object.contains(kind))), "{found:?}");
    let own = node.identity.replace(identity().0);
    for _ in 0..2 {
        node.clock.advance(Duration::from_secs(1));
        let closed = verify(&node, Level::Full);
        assert_eq!(names(&closed), found, "it was not looked at again");
        assert!(closed.damage.iter().all(|damage| damage.problem.starts_with("known since ")), "{:?}", closed.damage);
    }
    node.identity = own;
    assert_eq!(names(&verify(&node, Level::Full)), found);
}

#[test]
fn what_is_wrong_with_the_identity_is_said_by_show_too() {
    let mut node = Node::encrypted();
    node.write("a", b"x");
    node.init();
    let name = format!("tree/{}", node.backup()).parse().unwrap();
    lose_copies(&node);
    let own = node.identity.replace("no identity at all".into());
    let error = ops::show::run(&node.context(), &name, None).unwrap_err();
    assert!(error.to_string().contains("identity"), "{error}");
    // Whose identity is that of somebody else is told all that needs none, as without one.
    node.identity = Some(identity().0);
    assert!(ops::show::run(&node.context(), &name, None).unwrap().facts.is_null());
    node.identity = own;
    assert!(!ops::show::run(&node.context(), &name, None).unwrap().facts.is_null());
}

#[test]
fn each_of_several_recipients_opens_it_alone() {
    let mut node = Node::encrypted();
    let (spare, spare_recipient) = identity();
    node.encrypt_to.push(spare_recipient.clone());
    node.write("a", b"x");
    node.init();
    let id = node.backup();
    let rows = ops::key_check::run(&node.context(), None).unwrap();
    assert_eq!((rows.len(), &rows[0].opened_by, &rows[0].others), (1, &vec![node.encrypt_to[0].clone()], &vec![spare_recipient]));
    assert!(rows[0].problem.is_none() && rows[0].entries == 2 && rows[0].blobs == 2, "{rows:?}");
    for identity in [node.identity.clone(), Some(spare)] {
        node.identity = identity;
        assert_eq!(fs::read(node.fetch(id).unwrap().join("a")).unwrap(), b"x");
    }
}

#[test]
fn changed_recipients_get_everything_anew_and_cannot_be_given_what_they_cannot_open() {
    let mut node = Node::encrypted();
    node.write("a", odd::text(2 << 20));
    node.init();
    let first = node.backup();
    let (old, before) = (node.identity.clone(), packs(&node));
    let (new, recipient) = identity();
    node.encrypt_to = vec![recipient.clone()];
    node.write("b", b"more");
    let second = node.backup();
    assert_eq!(recipients(&node, second), [recipient]);
    assert!(packs(&node).len() >= 2 * before.len());
    node.identity = Some(new.clone());
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(second).unwrap()));
    assert!(node.fetch(first).is_err());
    // What is sealed to others is proven as far as it can be.
    let outcome = verify(&node, Level::Full);
    assert_eq!((outcome.damage, outcome.checked.level), (Vec::new(), Level::Stored));
    node.identity = Some(format!("{}{new}", old.clone().unwrap()));
    assert_eq!(verify(&node, Level::Full).checked.level, Level::Full);
    node.identity = old;
    assert!(node.fetch(first).is_ok());
    assert!(node.fetch(second).is_err());
    // Not even an unchanged source is passed over.
    let (third_identity, third) = identity();
    (node.encrypt_to, node.identity) = (vec![third], Some(third_identity));
    let id = node.backup();
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(id).unwrap()));
}

#[test]
fn a_broken_shipment_is_resumed_for_the_same_recipients_alone() {
    let mut node = Node::encrypted();
    node.write("a", noise(1, 40 << 20));
    node.init();
    // Packs arrive, lists do not: a folder stands where the lists' folder belongs.
    fs::write(node.path("bucket/node-1/files"), b"in the way").unwrap();
    node.try_backup().unwrap_err();
    let sent = packs(&node);
    assert!(sent.len() >= 2);
    let id = {
        let (_, other) = identity();
        let own = std::mem::replace(&mut node.encrypt_to, vec![other]);
        node.try_backup().unwrap_err();
        let both = packs(&node);
        assert!(both.is_superset(&sent) && both.len() >= 2 * sent.len(), "nothing is taken from a journal for others");
        fs::remove_file(node.path("bucket/node-1/files")).unwrap();
        node.encrypt_to = own;
        let id = node.backup();
        assert!(packs(&node).len() <= both.len() + 1, "what was sent for these recipients is used again");
        id
    };
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(id).unwrap()));
    assert!(verify(&node, Level::Full).damage.is_empty());
}

#[test]
fn a_marker_and_a_configuration_that_disagree_stop_whoever_stores_something() {
    let mut node = Node::encrypted();
    node.write("a", b"x");
    node.init();
    let id = node.backup();
    let before = node.objects("");
    let recipients = std::mem::take(&mut node.encrypt_to);
    node.write("a", b"y");
    for error in [node.try_backup().unwrap_err(), ops::init::run(&node.context(), &ops::init::Options::default()).unwrap_err()] {
        assert!(
            matches!(&error, Error::Usage(text) if text.contains("the repository is encrypted") && text.contains("encrypt_to")),
            "{error}"
        );
    }
    assert_eq!(node.objects(""), before, "nothing was stored");
    // Reading needs the identity alone.
    assert!(node.fetch(id).is_ok());
    let mut plain = Node::with_folder();
    plain.write("a", b"x");
    plain.init();
    plain.encrypt_to = recipients;
    for error in [plain.try_backup().unwrap_err(), ops::init::run(&plain.context(), &ops::init::Options::default()).unwrap_err()] {
        assert!(matches!(&error, Error::Usage(text) if text.contains("is not encrypted")), "{error}");
    }
    assert!(plain.objects("node-1/packs/").is_empty());
}

/// Every file of a folder with its bytes.
fn each_object(folder: &Path, visit: &mut dyn FnMut(&str, &[u8])) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_object(&path, visit);
        } else {
            visit(path.to_str().unwrap(), &fs::read(&path).unwrap());
        }
    }
}

/// Texts that only who holds the identity may find: names, paths, bytes, and digests of plain bytes in hexadecimal and as they are.
fn secrets(node: &Node) -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = vec![b"payroll".to_vec(), b"quarterly-figures".to_vec(), b"lines of plain text".to_vec()];
    secrets.push(node.path("tree").to_str().unwrap().as_bytes().to_vec());
    let ctx = node.context();
    let mut digests = BTreeSet::new();
    for row in &ops::snapshots::View::read(&ctx, None, None).unwrap().rows {
        let row = row.unwrap();
        let name = format!("tree/{}", row.id).parse().unwrap();
        let taken = ops::show::files(&ctx, &name, None, &mut |line| {
            for piece in line.content() {
                if let windlass::format::entry::Piece::Blob { digest, .. } = piece {
                    digests.insert(*digest);
                }
            }
            Ok(())
        });
        taken.unwrap();
    }
    digests.insert(Digest::of(&fs::read(node.path("tree/payroll/quarterly-figures.txt")).unwrap()));
    assert!(digests.len() > 2);
    for digest in digests {
        secrets.extend([digest.to_string().into_bytes(), digest.as_bytes().to_vec()]);
    }
    secrets
}

#[test]
fn nothing_in_the_bucket_reveals_a_path_or_a_digest_of_plain_bytes() {
    let node = Node::encrypted();
    node.write("payroll/quarterly-figures.txt", b"lines of plain text ".repeat(500));
    node.write("payroll/more", odd::text(3 << 20));
    node.init();
    node.backup();
    node.write("payroll/late", b"late");
    node.backup();
    let secrets = secrets(&node);
    assert!(verify(&node, Level::Full).damage.is_empty());
    reveals_none(&node, &secrets);
}

fn reveals_none(node: &Node, secrets: &[Vec<u8>]) {
    let mut searched = 0;
    each_object(&node.path("bucket"), &mut |key, bytes| {
        searched += 1;
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            let named = key
                .trim_start_matches(node.path("bucket").to_str().unwrap())
                .as_bytes()
                .windows(secret.len())
                .any(|w| w == secret.as_slice());
            assert!(!found && !named, "{key} reveals {}", String::from_utf8_lossy(secret));
        }
    });
    assert!(searched > 10);
}

#[test]
fn verdicts_on_what_is_inside_say_nothing_of_it() {
    let node = Node::encrypted();
    let mut forge = Forge::sealed(&node);
    // Sealed and named as they should be, so that only who opens them finds out: a blob that is not what its name says, and a list whose
    // paths do not ascend.
    let wrong = Digest::of(b"other bytes");
    let pack = forge.pack(&whole(&[frame(&member(&wrong.to_string(), b"payroll bytes"))]));
    let packed = Packed::of(&[b"sound bytes"]);
    let sound = forge.pack(&packed.bytes);
    let nowhere = piece(wrong, 13, pack, (24, 99), 512);
    forge.lines(&[folder(""), file("quarterly-figures", 11, &[packed.piece(sound, 0)]), file("payroll", 13, &[nowhere])]);
    forge.commit();
    let outcome = verify(&node, Level::Full);
    assert!(outcome.damage.len() >= 2, "{:?}", outcome.damage);
    assert!(
        ["payroll".to_owned(), wrong.to_string()].iter().all(|inside| outcome.damage.iter().any(|damage| damage.problem.contains(inside))),
        "who holds the identity learns it: {:?}",
        outcome.damage
    );
    assert!(!node.objects("node-1/checks/").is_empty(), "there are verdicts to be searched");
    let secrets = ["payroll".to_owned(), "quarterly-figures".into(), wrong.to_string(), Digest::of(b"sound bytes").to_string()];
    reveals_none(&node, &secrets.map(String::into_bytes));
}

#[test]
fn damage_of_every_kind_is_found_with_and_without_the_identity_and_mended_by_the_next_backup() {
    for kind in ["packs/", "files/"] {
        let mut node = Node::encrypted();
        node.write("a", odd::text(3 << 20));
        node.init();
        let id = node.backup();
        // Of the lists the larger one: the other is of the facts, which a fetch does not read.
        let size = |key: &String| fs::metadata(node.path("bucket").join(key)).unwrap().len();
        let sealed = node.objects(&format!("node-1/{kind}")).into_iter().filter(|key| key.ends_with(".age"));
        let key = sealed.max_by_key(size).unwrap();
        let path = node.path("bucket").join(&key);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(node.fetch(id), Err(error) if error.is_damage()), "{kind}");
        let identity = node.identity.take();
        let outcome = verify(&node, Level::Full);
        assert_eq!(outcome.damage.len(), 1, "{kind}: {:?}", outcome.damage);
        assert_eq!(outcome.damage[0].object, key);
        node.write("b", b"new");
        let next = node.backup();
        node.identity = identity;
        assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(next).unwrap()));
        fs::remove_file(&path).unwrap();
        match (kind, node.fetch(id)) {
            // The bytes are in a pack of the next snapshot too, sealed to the same recipient, and found there.
            ("packs/", fetched) => assert_eq!(fs::read(fetched.unwrap().join("a")).unwrap(), odd::text(3 << 20)),
            (_, Err(error)) => assert!(error.is_damage(), "{error}"),
            (_, Ok(_)) => panic!("nothing says what the snapshot holds"),
        }
    }
}

#[test]
fn other_bytes_under_the_name_of_an_age_file_are_damage() {
    let node = Node::encrypted();
    node.write("a", b"x");
    node.init();
    node.backup();
    let mut keys = 0;
    let taken = node.repository.list("node-1/", &mut |object| {
        keys += usize::from(object.key.ends_with(".age"));
        ControlFlow::Continue(())
    });
    taken.unwrap();
    assert_eq!(keys, 3, "a pack and two lists");
    node.clock.advance(Duration::from_secs(1));
    for key in node.objects("node-1/packs/") {
        fs::write(node.path("bucket").join(key), b"age-encryption.org/v1\n").unwrap();
    }
    assert!(!verify(&node, Level::Stored).damage.is_empty());
}

#[test]
fn a_damaged_local_copy_gives_what_is_intact_and_says_that_an_identity_would_give_the_rest() {
    let mut node = Node::encrypted();
    node.write("intact", b"intact");
    node.write("damaged", b"as it was");
    node.init();
    let id = node.backup();
    let identity = node.identity.take();
    let file = node.path(format!("local/tree/{id}/data/damaged"));
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&file, b"as it is.").unwrap();
    let name = format!("tree/{id}").parse().unwrap();
    let options = ops::fetch::Options { to: node.path("without"), ..Default::default() };
    ops::fetch::run(&node.context(), &name, &options).unwrap();
    assert_eq!(fs::read(node.path("without/intact")).unwrap(), b"intact");
    assert!(!node.path("without/damaged").exists());
    let events = format!("{:?}", node.events.lock().unwrap());
    assert!(events.contains(&node.encrypt_to[0]) && events.contains("--identity-file"), "{events}");
    node.identity = identity;
    let options = ops::fetch::Options { to: node.path("with"), ..Default::default() };
    ops::fetch::run(&node.context(), &name, &options).unwrap();
    assert_eq!(fs::read(node.path("with/damaged")).unwrap(), b"as it was");
}
