use super::*;
use crate::archive::NewIdentity;
use crate::sys::secret::Secret;

fn identity() -> (Identities, String) {
    let new = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
    (Identities::read(new.file.expose().as_bytes(), None).unwrap(), new.recipient)
}

fn sealed(parts: &[&[u8]], recipients: &[&str]) -> (Digest, Bytes) {
    let recipients = Recipients::read(recipients.iter().copied()).unwrap();
    let mut sealing = Sealing::new(1 << 20, &recipients).unwrap();
    parts.iter().for_each(|part| sealing.append(part).unwrap());
    sealing.finish().unwrap()
}

#[test]
fn without_recipients_bytes_are_stored_as_they_are() {
    let (name, stored) = sealed(&[b"one", b"two"], &[]);
    assert_eq!((name, &*stored), (Digest::of(b"onetwo"), b"onetwo".as_slice()));
}

#[test]
fn every_recipient_opens_what_was_sealed_and_nobody_else_does() {
    let ((one, first), (two, second), (other, _)) = (identity(), identity(), identity());
    let long = vec![7; 200_000];
    let (name, stored) = sealed(&[b"begin", &long, b""], &[&first, &second]);
    assert_eq!(name, Digest::of(&stored));
    for identities in [one, two] {
        assert_eq!(unseal(&stored, &identities).unwrap(), [b"begin", long.as_slice()].concat());
    }
    assert!(matches!(unseal(&stored, &other), Err(Error::NoIdentity)));
    assert!(!stored.windows(5).any(|bytes| bytes == b"begin"));
    // The same bytes never make the same object.
    assert_ne!(sealed(&[b"x"], &[&first]).0, sealed(&[b"x"], &[&first]).0);
}

#[test]
fn whatever_is_changed_cut_or_added_does_not_open() {
    let (identities, recipient) = identity();
    let (_, stored) = sealed(&[&vec![3; 70_000]], &[&recipient]);
    for length in (0..stored.len()).step_by(997).chain([stored.len() - 1, 16]) {
        assert!(unseal(&stored[..length], &identities).is_err(), "cut to {length}");
    }
    for at in (0..stored.len()).step_by(499) {
        let mut flipped = stored.to_vec();
        flipped[at] ^= 1;
        assert!(unseal(&flipped, &identities).is_err(), "flipped at {at}");
    }
    assert!(unseal(&[&stored, b"x".as_slice()].concat(), &identities).is_err());
}

#[test]
fn a_header_without_end_is_refused_at_once() {
    let (identities, _) = identity();
    let mut hostile = b"age-encryption.org/v1\n".to_vec();
    while hostile.len() < 16 << 20 {
        hostile.extend_from_slice(b"-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    }
    assert!(matches!(unseal(&hostile, &identities), Err(Error::Damaged(_))));
}

#[test]
fn a_sealed_object_that_was_changed_in_memory_is_noticed() {
    let (_, recipient) = identity();
    let recipients = Recipients::read([recipient.as_str()]).unwrap();
    let mut sealing = Sealing::new(1 << 20, &recipients).unwrap();
    sealing.append(b"the bytes").unwrap();
    let Sealing::Sealed(sealed) = &mut sealing else { panic!("it has a recipient") };
    // As if a bit had flipped between what was counted and what was sealed.
    sealed.plain.update(b"x");
    assert!(matches!(sealing.finish(), Err(Error::ReadBack { .. })));
}

#[test]
fn more_than_there_is_room_for_is_an_error_and_no_panic() {
    for recipients in [Recipients::default(), Recipients::read([identity().1.as_str()]).unwrap()] {
        let mut sealing = Sealing::new(1000, &recipients).unwrap();
        let outcome = sealing.append(&vec![1; 200_000]).and_then(|()| sealing.finish().map(|_| ()));
        assert!(matches!(outcome, Err(Error::Sealing { .. })));
    }
}

#[test]
fn a_passphrase_is_no_way_to_seal_an_object() {
    let (identities, _) = identity();
    let protected = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
    let file = protected.protected(&Secret::new("x")).unwrap();
    assert!(unseal(&file, &identities).is_err());
}
