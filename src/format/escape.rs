//! How names that are bytes stand in text: control bytes, `%`, `\` and what is not UTF-8 are written `%HH`.
//!
//! In bash, `printf '%b' "${text//%/\\x}"` gives the bytes back; that is why the backslash is escaped too.

use super::FormatError;

/// The text form of `bytes`.
pub fn escape(bytes: &[u8]) -> String {
    // Nearly all names are plain ASCII, and every line of a list holds some.
    if bytes.iter().all(|byte| is_plain(*byte)) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '%' || character == '\\' {
                let mut buffer = [0; 4];
                character.encode_utf8(&mut buffer).bytes().for_each(|byte| push_byte(&mut text, byte));
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_byte(&mut text, *byte));
    }
    text
}

/// ASCII that stands for itself in text.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%' && byte != b'\\'
}

fn push_byte(text: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(HEX[usize::from(byte >> 4)]));
    text.push(char::from(HEX[usize::from(byte & 15)]));
}

/// The bytes of a text form. Accepts only what [`escape`] writes or could have been written by another writer: any `%HH`, no raw control bytes.
pub fn unescape(text: &str) -> Result<Vec<u8>, FormatError> {
    if text.bytes().all(is_plain) {
        return Ok(text.as_bytes().to_vec());
    }
    let refused = || FormatError::Escape(text.chars().take(200).collect());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let (pair, tail) = tail.split_first_chunk::<2>().ok_or_else(refused)?;
            let digit = |d: u8| char::from(d).to_digit(16).ok_or_else(refused);
            bytes.push(u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).expect("two hexadecimal digits fit a byte"));
            rest = tail;
        } else if first < b' ' || first == b'\\' || first == 0x7f {
            return Err(FormatError::invalid(format!("an unescaped control byte or backslash in `{}`", escape(text.as_bytes()))));
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            let text = escape(&bytes);
            prop_assert!(!text.chars().any(|c| c.is_control() || c == '\\'));
            prop_assert_eq!(unescape(&text).unwrap(), bytes);
        }
    }

    #[test]
    fn text_form_is_as_documented() {
        assert_eq!(escape(b"a\nb%\\\xff\xc3\xa9\x7f"), "a%0Ab%25%5C%FFé%7F");
        assert!(unescape("%4").is_err() && unescape("%zz").is_err() && unescape("a\nb").is_err());
    }
}
