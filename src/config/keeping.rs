//! How a bucket is to keep what is stored: `storage_class`, `sse`, `sse_kms_key_id`, `tags`, `request_payer`.

use super::file;
use super::mistake::Gatherer;
use crate::repository::Keeping;

/// Classes whose objects must be asked back, which takes hours, before they can be read.
const ASLEEP: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// What S3 takes: tags of an object, and characters of their names and values.
const TAGS_MAX: usize = 10;
const TAG_NAME_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// What the repository's room is told; what is wrong goes to the gatherer.
pub(super) fn resolve(written: &file::Repository, gather: &Gatherer<'_>) -> Keeping {
    if let Some(class) = &written.storage_class {
        if ASLEEP.contains(&class.value.as_str()) {
            let message = "what is stored in this class cannot be read for hours, and Windlass reads back what it stores: take GLACIER_IR, or \
                           move packs by a rule of the bucket";
            gather.mistake(class.at, &class.key, message);
        } else if !class.value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') || class.value.is_empty() {
            gather.mistake(class.at, &class.key, "a storage class is written like STANDARD_IA");
        }
    }
    if let Some(sse) = written.sse.as_ref().filter(|sse| !["AES256", "aws:kms"].contains(&sse.value.as_str())) {
        gather.mistake(sse.at, &sse.key, "this must be \"AES256\" or \"aws:kms\"");
    }
    if let Some(id) = &written.sse_kms_key_id {
        if written.sse.as_ref().is_none_or(|sse| sse.value != "aws:kms") {
            gather.mistake(id.at, &id.key, "this goes with sse = \"aws:kms\"");
        } else if !id.value.bytes().all(|b| b.is_ascii_graphic()) || id.value.is_empty() {
            gather.mistake(id.at, &id.key, "this is no id of a key");
        }
    }
    let tags = written.tags.as_ref().map(|tags| tags.value.clone()).unwrap_or_default();
    if let Some(written) = &written.tags {
        let fits = |text: &str, most: usize| text.chars().count() <= most && text.chars().all(is_of_tags);
        let is_wrong = |(name, value): &(String, String)| name.is_empty() || !fits(name, TAG_NAME_MAX) || !fits(value, TAG_VALUE_MAX);
        if tags.len() > TAGS_MAX || tags.iter().any(is_wrong) {
            let message = format!(
                "S3 takes {TAGS_MAX} tags, with names of {TAG_NAME_MAX} and values of {TAG_VALUE_MAX} characters: letters, digits, spaces and \
                 + - = . _ : / @"
            );
            gather.mistake(written.at, &written.key, message);
        }
    }
    let text = |written: &Option<super::section::Written<String>>| written.as_ref().map(|written| written.value.clone());
    Keeping {
        storage_class: text(&written.storage_class),
        sse: text(&written.sse),
        sse_kms_key_id: text(&written.sse_kms_key_id),
        tags,
        request_payer: written.request_payer.as_ref().is_some_and(|payer| payer.value),
    }
}

/// Whether S3 takes this character in a tag.
fn is_of_tags(character: char) -> bool {
    character.is_alphanumeric() || " +-=._:/@".contains(character)
}
