//! A bucket, page by page: version 2 of the listing.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;

use super::http::Answer;
use super::objects::Bucket;

/// What may be asked.
pub const QUERY: [&str; 6] = ["list-type", "prefix", "delimiter", "start-after", "continuation-token", "max-keys"];

/// Most entries of a page.
const PAGE: usize = 1000;

/// A page of the listing. Keys that share what comes before the delimiter are one entry, told where they begin.
pub fn page(bucket: &Bucket, query: &BTreeMap<String, String>) -> Answer {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    if text("list-type") != "2" {
        return Answer::refusal(501, "NotImplemented", "only list-type=2 is known here");
    }
    let most = match query.get("max-keys").map(|most| most.parse::<usize>()) {
        None => PAGE,
        Some(Ok(most)) if most > 0 => most.min(PAGE),
        Some(_) => return Answer::refusal(400, "InvalidArgument", "max-keys"),
    };
    let token = BASE64_URL_SAFE.decode(text("continuation-token")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(token) = token else { return Answer::refusal(400, "InvalidArgument", "continuation-token") };
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let behind = text("start-after").max(&token);

    let (mut entries, mut last, mut whole) = (String::new(), String::new(), true);
    let mut count = 0;
    for (key, stored) in bucket.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix)) {
        let folder = match key[prefix.len()..].find(delimiter) {
            Some(at) if !delimiter.is_empty() => Some(&key[..prefix.len() + at + delimiter.len()]),
            _ => None,
        };
        let name = folder.unwrap_or(key);
        if name <= behind || name == last {
            continue;
        }
        if count == most {
            whole = false;
            break;
        }
        count += 1;
        entries.push_str(&match folder {
            Some(folder) => format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(folder)),
            None => format!(
                "<Contents><Key>{}</Key><Generation>{}</Generation><LastModified>{:.3}</LastModified><ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
                escaped(key),
                stored.generation,
                stored.modified,
                stored.tag(),
                stored.bytes.len()
            ),
        });
        name.clone_into(&mut last);
    }
    let next = match whole {
        true => String::new(),
        false => format!("<NextContinuationToken>{}</NextContinuationToken>", BASE64_URL_SAFE.encode(last)),
    };
    let head = format!("<KeyCount>{count}</KeyCount><IsTruncated>{}</IsTruncated>", !whole);
    let text = format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>{head}{next}{entries}</ListBucketResult>"
    );
    Answer::new(200, text).with("Content-Type", "application/xml; charset=UTF-8")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
