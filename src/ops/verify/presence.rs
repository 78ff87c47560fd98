//! Compares what the store lists with what the manifests need.

use std::collections::BTreeSet;

use super::needs::{Needs, Object, Seen};
use super::report::Report;
use crate::format::check::Level;
use crate::format::key::{Key, NodeKey};
use crate::format::names::NodeName;
use crate::ops::damage::Problem;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, records};
use crate::sys::sorter::Sorter;

/// Lists everything below the node's folder. Gives the numbers of its node files. `all`: whether strangers are looked for.
pub(super) fn list(
    ctx: &Context,
    remote: &Remote,
    node: &NodeName,
    needs: &mut Needs,
    all: bool,
    report: &mut Report,
) -> Result<BTreeSet<u32>, Error> {
    let mut node_files = BTreeSet::new();
    remote.each_object(ctx, &format!("{node}/"), &mut |object| {
        match Key::parse(&object.key) {
            None => {
                if all {
                    report.unexpected(object.key);
                }
                Ok(())
            }
            Some(Key::Of(_, NodeKey::Node(n))) => {
                node_files.insert(n);
                Ok(())
            }
            Some(Key::Of(node, NodeKey::Head(source, id, n))) => {
                // A body whose head is there is not waste, whatever else is wrong with it.
                needs.object(NodeKey::Body(source, id, n).of(&node).to_string(), Seen::Named, 0, "")?;
                needs.object(object.key, Seen::Listed, object.size, "")
            }
            Some(_) => needs.object(object.key, Seen::Listed, object.size, ""),
        }
    })?;
    Ok(node_files)
}

/// Compares; `all`: whether what nothing names is counted.
pub(super) fn compare(objects: Sorter, all: bool, report: &mut Report) -> Result<(), Error> {
    let mut sorted = objects.sorted()?;
    let mut group: Option<Group> = None;
    while let Some(record) = sorted.next()? {
        let object = Object::from_record(record);
        match &mut group {
            Some(group) if group.key == object.key => group.add(object, report),
            group => {
                if let Some(done) = group.take() {
                    done.close(all, report);
                }
                let mut new = Group { key: object.key.clone(), listed: None, needed_by: None, named: false };
                new.add(object, report);
                *group = Some(new);
            }
        }
    }
    if let Some(done) = group {
        done.close(all, report);
    }
    Ok(())
}

/// All that is known of one key.
struct Group {
    key: String,
    listed: Option<u64>,
    needed_by: Option<String>,
    named: bool,
}

impl Group {
    /// Takes the next record of this key; the listing comes first.
    fn add(&mut self, object: Object, report: &mut Report) {
        match object.seen {
            Seen::Listed => self.listed = Some(object.size),
            Seen::Named => self.named = true,
            Seen::Needed => {
                match self.listed {
                    None => report.fault(&object.key, Some(&object.snapshot), Problem::missing()),
                    Some(size) if size != object.size => {
                        let text = format!("it has {size} bytes and should have {}", object.size);
                        report.fault(&object.key, Some(&object.snapshot), Problem::damaged(text));
                    }
                    Some(_) => {}
                }
                self.needed_by.get_or_insert(object.snapshot);
            }
        }
    }

    fn close(self, all: bool, report: &mut Report) {
        let read_later = |key: &NodeKey| report.level > Level::Quick && matches!(key, NodeKey::Pack { .. } | NodeKey::FileList { .. });
        let Some(Key::Of(_, key)) = Key::parse(&self.key) else { return };
        match (&self.needed_by, self.listed) {
            (Some(snapshot), Some(size)) => {
                if !read_later(&key) {
                    report.count(size);
                }
                report.is_there(&self.key, Some(snapshot));
            }
            (None, Some(_)) if all && !self.named && is_data(&key) => report.unreferenced += 1,
            // A look at the listing says nothing of what is in a record.
            (None, Some(_)) if all && report.level == Level::Quick && records::is_record(&key) => report.is_known_still(&self.key),
            _ => {}
        }
    }
}

/// Whether an object of this kind is waste when no manifest names it.
fn is_data(key: &NodeKey) -> bool {
    matches!(key, NodeKey::Pack { .. } | NodeKey::FileList { .. } | NodeKey::PackList(_) | NodeKey::Body(..))
}
