//! Triggers and events out of the versioned comments that dump programs put around them.
//!
//! A comment in their body ends that outer comment for the vendor's own client, which then sends a part of the statement, or swallows what
//! follows. Every server that has triggers and events at all takes them without the versions.

use super::object::ObjectKind;

/// How many bytes are held back, so that the end of the outer comment is in view when the statement ends: `\n*/ ;;` and a long delimiter.
const TAIL: usize = 32;

/// A statement that is unwrapped while it goes by.
#[derive(Debug)]
pub(super) struct Unwrapping {
    tail: Vec<u8>,
}

impl Unwrapping {
    /// Whether statements of this kind are unwrapped: views hold no comments.
    pub(super) fn is_for(kind: ObjectKind) -> bool {
        matches!(kind, ObjectKind::Trigger | ObjectKind::Event)
    }

    pub(super) fn new() -> Self {
        Self { tail: Vec::new() }
    }

    /// The beginning, without the marks; `head` holds all that comes before the body.
    pub(super) fn begin(&mut self, head: &[u8]) -> Vec<u8> {
        let mut written = Vec::with_capacity(head.len());
        let mut at = 0;
        // Outer comments are open one at a time; the last of them holds the body, and ends with the statement.
        for wrapped in ["CREATE", "DEFINER", ""] {
            let rest = &head[at..];
            let Some(mark) = mark(rest) else { break };
            at += mark;
            if wrapped.is_empty() || !head[at..].trim_ascii_start().starts_with(wrapped.as_bytes()) {
                break;
            }
            let Some(end) = end_of_comment(&head[at..]) else { break };
            written.extend_from_slice(&head[at..at + end]);
            at += end + 2;
            let blank = head[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            written.extend_from_slice(&head[at..at + blank]);
            at += blank;
        }
        let held = self.push(&head[at..]);
        let begin = written.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        [&written[begin..], &held].concat()
    }

    /// More bytes; gives those that can be written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tail.extend_from_slice(bytes);
        let keep = self.tail.len().saturating_sub(TAIL);
        let rest = self.tail.split_off(keep);
        std::mem::replace(&mut self.tail, rest)
    }

    /// The end, without that of the outer comment.
    pub(super) fn end(self, delimiter: &[u8]) -> Vec<u8> {
        let body = self.tail.strip_suffix(delimiter).unwrap_or(&self.tail);
        let body = body.trim_ascii_end();
        let body = body.strip_suffix(b"*/").unwrap_or(body);
        [body, delimiter].concat()
    }
}

/// How long the mark is that `text` begins with: `/*!50003 ` with the blanks after it.
fn mark(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"/*!").or_else(|| text.strip_prefix(b"/*M!"))?;
    let rest = digits.trim_ascii_start();
    let rest = &rest[rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..];
    let rest = rest.trim_ascii_start();
    Some(text.len() - rest.len())
}

/// Where the comment ends that `text` lies in, outside of quotes.
fn end_of_comment(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'`' | b'\'' | b'"') => quote = Some(*byte),
            (None, b'*') if text[at..].starts_with(b"*/") => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(text: &str, delimiter: &str) -> String {
        let (head, rest) = text.as_bytes().split_at(text.len().min(100));
        let mut unwrapping = Unwrapping::new();
        let mut written = unwrapping.begin(head);
        for piece in rest.chunks(3) {
            written.extend(unwrapping.push(piece));
        }
        written.extend(unwrapping.end(delimiter.as_bytes()));
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn the_marks_go_and_comments_in_the_body_stay() {
        let body = "TRIGGER tr BEFORE INSERT ON t FOR EACH ROW /* it's ;; */ BEGIN /*!50003 SET a = '*/'*/; END ";
        let text = format!("/*!50003 CREATE*/ /*!50017 DEFINER=`ro*/ot`@`localhost`*/ /*!50003 {body}\n*/;;");
        assert_eq!(unwrapped(&text, ";;"), format!("CREATE DEFINER=`ro*/ot`@`localhost` {body}\n;;"));
    }

    #[test]
    fn an_event_and_a_statement_without_a_definer_are_unwrapped_too() {
        let text = "/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`b`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1 */ ;;";
        assert_eq!(unwrapped(text, ";;"), "CREATE DEFINER=`a`@`b` EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1 ;;");
        assert_eq!(unwrapped("/*!50003 CREATE*/ /*!50003 TRIGGER t */;;", ";;"), "CREATE TRIGGER t ;;");
    }
}
