//! What a bucket does with what is deleted: whether it keeps old versions, how many there are, and whether objects are locked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::core::Core;
use super::error::{At, Cause, Error};

/// Most keys and versions on one page: what S3 gives at most.
const PAGE: &str = "1000";

/// What is kept of objects that were deleted or overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OldVersions {
    /// Versions that are no longer current.
    pub versions: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// Delete markers: each says that its object was deleted.
    pub markers: u64,
}

/// Object lock of a bucket: what is locked can be deleted, but its version stays until the lock ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BucketLock {
    /// `GOVERNANCE` or `COMPLIANCE`, for objects that say nothing of their own; `None` = such objects are not locked.
    pub mode: Option<String>,
    /// How many days each new object is locked by this rule.
    pub days: Option<u64>,
    /// How many years, where the rule counts in years.
    pub years: Option<u64>,
}

/// The lock of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// When it ends; `None` = the store does not tell, or a legal hold has no end.
    pub until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersioningConfiguration {
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListVersionsResult {
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_version_id_marker: Option<String>,
    #[serde(default)]
    version: Vec<Version>,
    #[serde(default)]
    delete_marker: Vec<Marker>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    is_latest: bool,
    size: u64,
}

/// Nothing of a delete marker matters but that it is there.
#[derive(Deserialize)]
struct Marker {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectLockConfiguration {
    object_lock_enabled: Option<String>,
    rule: Option<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    default_retention: Option<DefaultRetention>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefaultRetention {
    mode: Option<String>,
    days: Option<u64>,
    years: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retention {
    retain_until_date: Option<String>,
}

/// A store that has nothing of the kind says so with a status; that is an answer.
fn unless_refused<T>(answer: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(Error::Refused { answer, .. }) if matches!(answer.status, 400 | 404) => Ok(None),
        Err(Error::Absent { .. }) => Ok(None),
        answer => answer,
    }
}

impl Core {
    /// Whether the bucket keeps old versions, or has; `false` also for what is no bucket.
    pub(super) async fn keeps_versions(&self) -> Result<bool, Error> {
        let answer: Option<VersioningConfiguration> =
            self.question(self.at("ask for the versioning of", ""), &[("versioning", "")]).await?;
        // A bucket that never had versions has no status; `Suspended` still holds the old ones.
        Ok(answer.is_some_and(|answer| answer.status.is_some_and(|status| !status.is_empty())))
    }

    /// Counts what is kept below a folder; `None` for what is no bucket.
    pub(super) async fn old_versions(&self, folder: &str) -> Result<Option<OldVersions>, Error> {
        let at = self.at("list the old versions in", "");
        let prefix = format!("{}/", self.path(folder.trim_end_matches('/'))?);
        let (mut counted, mut after) = (OldVersions::default(), None::<(String, String)>);
        loop {
            let mut query = vec![("versions", ""), ("prefix", prefix.as_str()), ("max-keys", PAGE)];
            if let Some((key, version)) = &after {
                query.push(("key-marker", key));
                query.push(("version-id-marker", version));
            }
            query.retain(|(name, value)| *name == "versions" || !value.is_empty());
            let Some(page) = self.question::<ListVersionsResult>(at.clone(), &query).await? else { return Ok(None) };
            for version in page.version.iter().filter(|version| !version.is_latest) {
                counted.versions += 1;
                counted.bytes += version.size;
            }
            counted.markers += page.delete_marker.len() as u64;
            if !page.is_truncated {
                return Ok(Some(counted));
            }
            let next = page.next_key_marker.map(|key| (key, page.next_version_id_marker.unwrap_or_default()));
            // Keys ascend, so a page that leads back would be asked for again without end.
            if next.is_none() || next == after || after.as_ref().map(|(key, _)| key) > next.as_ref().map(|(key, _)| key) {
                return Err(Error::Failed { at, cause: Cause("its pages do not go on".into()) });
            }
            after = next;
        }
    }

    /// The bucket's object lock; `None` where there is none.
    pub(super) async fn bucket_lock(&self) -> Result<Option<BucketLock>, Error> {
        let at = self.at("ask for the object lock of", "");
        let answer = unless_refused(self.question::<ObjectLockConfiguration>(at, &[("object-lock", "")]).await)?;
        let enabled = answer.filter(|answer| answer.object_lock_enabled.as_deref() == Some("Enabled"));
        Ok(enabled.map(|answer| match answer.rule.and_then(|rule| rule.default_retention) {
            Some(DefaultRetention { mode, days, years }) => BucketLock { mode, days, years },
            None => BucketLock::default(),
        }))
    }

    /// How long an object is locked whose delete was refused because it is.
    pub(super) async fn object_lock(&self, key: &str) -> Result<ObjectLock, Error> {
        let at = At { operation: "ask for the lock of", ..self.at("", key) };
        let answer = unless_refused(self.question::<Retention>(at, &[("retention", "")]).await)?;
        Ok(ObjectLock { until: answer.and_then(|answer| answer.retain_until_date?.parse().ok()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_markers_are_read_in_whatever_order_they_come() {
        let text = "<?xml version=\"1.0\"?><ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
            <IsTruncated>false</IsTruncated>\
            <Version><Key>a</Key><IsLatest>false</IsLatest><Size>7</Size></Version>\
            <DeleteMarker><Key>a</Key><IsLatest>true</IsLatest></DeleteMarker>\
            <Version><Key>b</Key><IsLatest>true</IsLatest><Size>9</Size></Version></ListVersionsResult>";
        let page: ListVersionsResult = quick_xml::de::from_str(text).unwrap();
        assert_eq!((page.version.len(), page.version[0].size, page.version[1].is_latest), (2, 7, true));
        assert_eq!((page.delete_marker.len(), page.is_truncated, page.next_key_marker), (1, false, None));
    }

    #[test]
    fn a_bucket_without_versions_has_no_status() {
        let status = |text: &str| quick_xml::de::from_str::<VersioningConfiguration>(text).unwrap().status;
        assert_eq!(status("<VersioningConfiguration xmlns=\"x\"/>"), None);
        assert_eq!(status("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>").as_deref(), Some("Suspended"));
    }
}
