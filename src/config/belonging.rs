//! Which keys of `[repository]` go with which URL.

use super::file::Repository;
use super::mistake::Gatherer;
use super::secret::WrittenSecret;
use super::section::Written;
use crate::repository::{ACCOUNT_VARIABLES, foreign_key};
use crate::sys::environment::Environment;

/// A key that is set, without and with its table, and where.
type Set<'w> = (&'static str, &'w str, usize);

/// Compares the keys that are set with the URL.
pub(super) fn check(written: &Repository, url: &Written<String>, environment: &dyn Environment, gather: &Gatherer<'_>) {
    let scheme = url.value.split("://").next().unwrap_or_default();
    let set = set(written);
    if matches!(scheme, "file" | "memory") {
        let keys: Vec<&str> = set.iter().map(|(key, ..)| *key).collect();
        if !keys.is_empty() {
            gather.warning(format!("{}: this is for buckets, and a folder knows nothing of it", keys.join(", ")));
        }
        return;
    }
    for (key, full, at) in set {
        if let Some(message) = foreign_key(key, scheme) {
            gather.mistake(at, full, message);
        }
    }
    let named = written.account.is_some() || ACCOUNT_VARIABLES.into_iter().any(|name| environment.var(name).is_some());
    if scheme == "az" && !named {
        gather.missing(url.at, "repository.account", "this is missing: az:// needs the name of the storage account");
    }
}

/// The keys that are set and go with some buckets only.
fn set(written: &Repository) -> Vec<Set<'_>> {
    let mut set: Vec<Set<'_>> = Vec::new();
    set.extend(placed("region", &written.region));
    set.extend(placed("virtual_host", &written.virtual_host));
    set.extend(placed("profile", &written.profile));
    set.extend(hidden("access_key_id", &written.access_key_id));
    set.extend(hidden("secret_access_key", &written.secret_access_key));
    set.extend(hidden("session_token", &written.session_token));
    set.extend(placed("account", &written.account));
    set.extend(hidden("account_key", &written.account_key));
    set.extend(hidden("sas_token", &written.sas_token));
    set.extend(hidden("service_account", &written.service_account));
    set.extend(placed("storage_class", &written.storage_class));
    set.extend(placed("sse", &written.sse));
    set.extend(placed("sse_kms_key_id", &written.sse_kms_key_id));
    set.extend(placed("tags", &written.tags));
    set.extend(placed("request_payer", &written.request_payer));
    set
}

fn placed<'w, T>(key: &'static str, written: &'w Option<Written<T>>) -> Option<Set<'w>> {
    written.as_ref().map(|written| (key, written.key.as_str(), written.at))
}

fn hidden<'w>(key: &'static str, written: &'w Option<WrittenSecret>) -> Option<Set<'w>> {
    written.as_ref().map(|written| (key, written.place().1, written.place().0))
}
