//! Marks: what prune will delete. A mark is irrevocable, so writers treat what is marked as absent.

use serde::{Deserialize, Serialize};

use super::{FormatError, number};

/// One line of `prune/<utc>-<random>.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The object's key, from the repository's root.
    pub object: String,
    /// Its stored size in bytes.
    #[serde(with = "number")]
    pub stored: u64,
}

/// The text of a file of marks: a line for each.
pub fn write(marks: &[Mark]) -> Vec<u8> {
    let mut text = Vec::new();
    for mark in marks {
        serde_json::to_writer(&mut text, mark).expect("a mark is plain JSON");
        text.push(b'\n');
    }
    text
}

/// Reads a file of marks, line by line; one that is empty is damaged.
pub fn read(text: &[u8]) -> impl Iterator<Item = Result<Mark, FormatError>> {
    let cut = (text.last() != Some(&b'\n')).then(|| Err(FormatError::invalid("the marks end inside a line, or there are none")));
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    cut.into_iter().chain(lines.map(|line| Ok(serde_json::from_slice(line)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_and_a_cut_is_noticed() {
        let marks = vec![Mark { object: "n/packs/x".into(), stored: 1 << 40 }; 2];
        let text = write(&marks);
        assert_eq!(read(&text).collect::<Result<Vec<_>, _>>().unwrap(), marks);
        assert!((1..text.len()).all(|end| end == text.len() / 2 || read(&text[..end]).any(|mark| mark.is_err())));
        assert!(read(b"").all(|mark| mark.is_err()), "nobody writes an empty one");
    }
}
