//! Settings of a YAML file changed line by line, so that all else in it stays to the byte.
//!
//! Only what is plain to see is changed: a key at the beginning of one line, with its value on that line. Whatever else a key may stand in is
//! refused ([`Odd`]), and what comes out is read again by a parser before it is believed.

use std::path::Path;

use super::document::Value;

/// What stands above lines that none of the file's own comments had a place for.
const COMMENT: &str = "# Written by Windlass, which has made this the node that a snapshot is of.";

/// With what a value begins that is more than a text on this line: an anchor, an alias, a tag, a block, a mapping, a list, or nothing that YAML has.
const NOT_PLAIN: [char; 11] = ['&', '*', '!', '|', '>', '{', '[', '%', '@', '`', '?'];

/// What a key is to say.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The key, of the uppermost level.
    pub(super) key: &'static str,
    /// Its value, as it is written in YAML.
    pub(super) value: String,
    /// Its value, as it is understood.
    pub(super) means: String,
}

/// A place of the file that changes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// How many lines come before it.
    after: usize,
    /// The line that goes, if one does.
    old: Option<String>,
    /// The lines that come.
    new: Vec<String>,
}

/// Why a file cannot be changed this way.
#[derive(Debug)]
pub(super) struct Odd {
    /// The line, from 1.
    pub(super) line: Option<u64>,
    /// What is odd about it.
    pub(super) why: String,
}

/// What has to change so that the file says these settings, in the order of its lines.
pub(super) fn changes(text: &str, document: &Value, settings: &[Setting]) -> Result<Vec<Change>, Odd> {
    let lines: Vec<&str> = text.lines().collect();
    let mut changes = Vec::new();
    let mut appended = vec![COMMENT.to_owned()];
    for setting in settings {
        let line = format!("{}: {}", setting.key, setting.value);
        let live: Vec<usize> = (0..lines.len()).filter(|at| after_key(lines[*at], setting.key).is_some()).collect();
        if live.len() != document.all(setting.key).count() {
            return Err(Odd { line: None, why: format!("`{}` stands in it otherwise than at the beginning of a line", setting.key) });
        }
        match live[..] {
            [] => match comment_of(&lines, setting.key) {
                Some(at) => changes.push(Change { after: at + 1, old: None, new: vec![line] }),
                None => appended.push(line),
            },
            [at] => {
                let new = replaced(&lines, at, setting)?;
                changes.push(Change { after: at, old: Some(lines[at].to_owned()), new: vec![new] });
            }
            [_, again, ..] => return Err(odd(again, setting, "is there more than once")),
        }
    }
    if appended.len() > 1 {
        changes.push(Change { after: lines.len(), old: None, new: appended });
    }
    changes.sort_by_key(|change| change.after);
    Ok(changes)
}

/// The text with these changes.
pub(super) fn applied(text: &str, changes: &[Change]) -> String {
    let ending = if text.lines().next().is_some_and(|first| text[first.len()..].starts_with("\r\n")) { "\r\n" } else { "\n" };
    let mut out = String::with_capacity(text.len());
    let mut old = text.split_inclusive('\n');
    let mut at = 0;
    for change in changes {
        out.extend(old.by_ref().take(change.after - at));
        at = change.after;
        let has_ending = match &change.old {
            Some(_) => {
                at += 1;
                old.next().is_some_and(|line| line.ends_with('\n'))
            }
            None => true,
        };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(ending);
        }
        out.push_str(&change.new.join(ending));
        if has_ending {
            out.push_str(ending);
        }
    }
    out.extend(old);
    out
}

/// The changes as a unified diff without lines around them.
pub(super) fn diff(path: &Path, changes: &[Change]) -> Vec<String> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("--- {}", path.display()), format!("+++ {}", path.display())];
    let mut shift = 0;
    for Change { after, old, new } in changes {
        // What is empty is told by the line before it.
        let from = if old.is_some() { after + 1 } else { *after };
        lines.push(format!("@@ -{from},{} +{},{} @@", old.iter().len(), after + shift + 1, new.len()));
        lines.extend(old.iter().map(|line| format!("-{line}")));
        lines.extend(new.iter().map(|line| format!("+{line}")));
        shift += new.len() - old.iter().len();
    }
    lines
}

/// What follows the colon of a key that a line begins with.
fn after_key<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(key)?.trim_start_matches([' ', '\t']).strip_prefix(':')?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

/// The line that has the key in a comment, if a line of its own can follow it.
fn comment_of(lines: &[&str], key: &str) -> Option<usize> {
    let is_of_key =
        |line: &str| line.strip_prefix('#').is_some_and(|rest| after_key(rest.trim_start_matches(['#', ' ', '\t']), key).is_some());
    let at = (0..lines.len()).rev().find(|at| is_of_key(lines[*at]))?;
    (!goes_on(lines, at)).then_some(at)
}

/// Whether what comes next belongs to what is before it.
fn goes_on(lines: &[&str], at: usize) -> bool {
    let is_something = |line: &&&str| !line.trim().is_empty() && !line.starts_with('#');
    lines[at + 1..].iter().find(is_something).is_some_and(|next| next.starts_with([' ', '\t']) || *next == "-" || next.starts_with("- "))
}

/// The line with another value and what else stands in it.
fn replaced(lines: &[&str], at: usize, setting: &Setting) -> Result<String, Odd> {
    let line = lines[at];
    let Some(rest) = after_key(line, setting.key) else { return Err(odd(at, setting, "cannot be found again")) };
    let value = rest.trim_start_matches([' ', '\t']);
    let start = line.len() - value.len();
    let length = length_of(value).ok_or_else(|| odd(at, setting, "does not stand there as a plain text on one line"))?;
    if goes_on(lines, at) {
        return Err(odd(at, setting, "goes on in the next line"));
    }
    let (before, after) = (&line[..start], &line[start + length..]);
    let gap = if before.ends_with([' ', '\t']) { "" } else { " " };
    // Where nothing stood before a comment, the blank that makes it one has gone to the value.
    let blank = if after.starts_with('#') { " " } else { "" };
    Ok(format!("{before}{gap}{}{blank}{after}", setting.value))
}

/// How long a value is that stands on one line, without the comment after it.
fn length_of(value: &str) -> Option<usize> {
    let length = match value.chars().next() {
        None | Some('#') => 0,
        Some('\'') => closed(value, '\'', false)?,
        Some('"') => closed(value, '"', true)?,
        Some(first) if NOT_PLAIN.contains(&first) => return None,
        Some(_) => {
            let end = value.find(" #").unwrap_or(value.len()).min(value.find("\t#").unwrap_or(value.len()));
            value[..end].trim_end().len()
        }
    };
    let after = value[length..].trim_start();
    (after.is_empty() || after.starts_with('#')).then_some(length)
}

/// How long a text in quotes is; nothing where it does not end on this line.
fn closed(value: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = value.char_indices().skip(1).peekable();
    while let Some((at, found)) = chars.next() {
        if escapes && found == '\\' {
            chars.next();
        } else if found == quote {
            // Two of them are one that is meant.
            if !escapes && chars.next_if(|(_, next)| *next == quote).is_some() {
                continue;
            }
            return Some(at + 1);
        }
    }
    None
}

fn odd(at: usize, setting: &Setting, why: &str) -> Odd {
    Odd { line: Some(at as u64 + 1), why: format!("`{}` {why}", setting.key) }
}
