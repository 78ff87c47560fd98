//! Names of owners, asked of the system once each.

use std::collections::HashMap;

use nix::unistd::{Gid, Group, Uid, User};

/// Most names remembered: a tree rarely has more owners, and each question may go over the network.
const REMEMBERED: usize = 4096;

/// A cache of the names of users and groups.
#[derive(Debug, Default)]
pub(super) struct Owners {
    users: HashMap<u32, Option<String>>,
    groups: HashMap<u32, Option<String>>,
}

impl Owners {
    /// The user's name, where it has one and the name service answers.
    pub(super) fn user(&mut self, uid: u32) -> Option<String> {
        remembered(&mut self.users, uid, || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name))
    }

    /// The group's name, where it has one and the name service answers.
    pub(super) fn group(&mut self, gid: u32) -> Option<String> {
        remembered(&mut self.groups, gid, || Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name))
    }
}

fn remembered(known: &mut HashMap<u32, Option<String>>, id: u32, ask: impl FnOnce() -> Option<String>) -> Option<String> {
    if known.len() >= REMEMBERED && !known.contains_key(&id) {
        known.clear();
    }
    known.entry(id).or_insert_with(ask).clone()
}
