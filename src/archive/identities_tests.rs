use super::*;

/// From the documentation of age, known to everybody.
const KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

fn read(text: &str) -> Result<Vec<String>, String> {
    Identities::read(text.as_bytes(), None).map(|read| read.recipients()).map_err(|error| error.to_string())
}

#[test]
fn files_with_comments_and_several_identities_are_read() {
    let other = NewIdentity::generate(Timestamp::UNIX_EPOCH);
    assert!(other.file.expose().starts_with("# created: 1970-01-01T00:00:00Z\n# public key: age1"));
    let text = format!("# mine\r\n\r\n{KEY}\r\n{}", other.file.expose());
    assert_eq!(read(&text).unwrap(), [PUBLIC.to_owned(), other.recipient]);
}

#[test]
fn what_is_no_identity_is_named_by_its_line_and_not_shown() {
    for (text, says) in [
        (format!("# x\n{}", &KEY[..KEY.len() - 1]), "line 2: this is no whole identity"),
        (PUBLIC.to_owned(), "line 1: this is a public recipient"),
        ("AGE-SECRET-KEY-PQ-1QQQQ".into(), "line 1: post-quantum"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQ".into(), "line 1: identities of age plugins"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA".into(), "line 1: SSH and PGP"),
        ("# nothing\n".into(), "it holds no identity"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(says) && !error.contains("GQ9778"), "{error}");
    }
}

#[test]
fn a_protected_file_opens_with_its_passphrase_alone() {
    let new = NewIdentity::generate(Timestamp::UNIX_EPOCH);
    let file = new.protected(&Secret::new("correct horse")).unwrap();
    assert!(file.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") && Identities::is_protected(&file));
    assert!(!Identities::is_protected(KEY.as_bytes()));
    let open = |file: &[u8], passphrase: Option<&str>| {
        let passphrase = passphrase.map(Secret::new);
        Identities::read(file, passphrase.as_ref()).map(|read| read.recipients()).map_err(|error| error.to_string())
    };
    assert_eq!(open(&file, Some("correct horse")).unwrap(), std::slice::from_ref(&new.recipient));
    assert!(open(&file, Some("battery staple")).unwrap_err().contains("the passphrase is not the one"));
    assert!(open(&file, None).unwrap_err().contains("which is missing"));
    let mut plain = Vec::new();
    ArmoredReader::new(file.as_slice()).read_to_end(&mut plain).unwrap();
    assert_eq!(open(&plain, Some("correct horse")).unwrap(), [new.recipient], "binary");
    assert!(open(&plain[..plain.len() - 3], Some("correct horse")).is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let new = NewIdentity::generate(Timestamp::UNIX_EPOCH);
    let read = Identities::read(new.file.expose().as_bytes(), None).unwrap();
    assert!(!format!("{new:?} {read:?}").contains("AGE-SECRET"));
}

/// The memory that the work takes doubles with each step: 64 steps would never end, and 22 take 4 GiB.
#[test]
fn a_file_that_asks_for_more_work_than_a_person_would_is_refused_before_any_is_done() {
    let new = NewIdentity::generate(Timestamp::UNIX_EPOCH);
    let file = new.protected(&Secret::new("correct horse")).unwrap();
    let mut plain = Vec::new();
    ArmoredReader::new(file.as_slice()).read_to_end(&mut plain).unwrap();
    let at = plain.windows(4).position(|window| window == b" 18\n").unwrap();
    for factor in ["21", "22", "40", "63"] {
        plain[at + 1..at + 3].copy_from_slice(factor.as_bytes());
        let error = Identities::read(&plain, Some(&Secret::new("correct horse"))).unwrap_err().to_string();
        assert!(error.contains(&format!("a work factor of {factor}")), "{error}");
    }
}
