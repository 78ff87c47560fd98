//! Roles and what they may do, where the role that asks may read that. Hashes of passwords are never asked for.

use scylla::deserialize::row::DeserializeRow;
use serde::{Deserialize, Serialize};

use super::cql::Connection;
use super::facts::Facts;
use crate::source::Error;
use crate::sys::stop::Stopped;

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Whether it may log in.
    pub login: bool,
    /// The roles that it was granted, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<String>,
}

/// What a role was granted on something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The role.
    pub role: String,
    /// On what, as Cassandra names it: `data`, `data/KEYSPACE`, `data/KEYSPACE/TABLE`, `functions/…`, `roles/…`.
    pub resource: String,
    /// What it may do there, sorted.
    pub permissions: Vec<String>,
}

type RoleRow = (String, Option<bool>, Option<bool>, Option<Vec<String>>);
type PermissionRow = (String, String, Option<Vec<String>>);

/// Reads both into the facts. They do not hold up a backup: what cannot be read is left out, and the facts say why.
///
/// # Errors
/// [`Error::Stopped`].
pub(super) fn read(connection: &Connection, is_scylla: bool, facts: &mut Facts) -> Result<(), Stopped> {
    let cql = "SELECT role, is_superuser, can_login, member_of FROM";
    let roles = rows::<RoleRow>(connection, is_scylla, "read the roles of", cql, "roles");
    facts.roles = readable(roles, "roles", facts)?.map(|rows| {
        let role = |(name, superuser, login, member_of): RoleRow| Role {
            name,
            superuser: superuser.unwrap_or(false),
            login: login.unwrap_or(false),
            member_of: sorted(member_of),
        };
        let mut roles: Vec<Role> = rows.into_iter().map(role).collect();
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        roles
    });
    let cql = "SELECT role, resource, permissions FROM";
    let permissions = rows::<PermissionRow>(connection, is_scylla, "read the grants of", cql, "role_permissions");
    facts.permissions = readable(permissions, "permissions", facts)?.map(|rows| {
        let permission = |(role, resource, permissions)| Permission { role, resource, permissions: sorted(permissions) };
        let mut permissions: Vec<Permission> = rows.into_iter().map(permission).collect();
        permissions.sort_by(|a, b| (&a.role, &a.resource).cmp(&(&b.role, &b.resource)));
        permissions
    });
    Ok(())
}

/// The rows of one of the tables with accounts. ScyllaDB has them in `system` from 6.0 on, where Raft replicates them.
fn rows<R>(connection: &Connection, is_scylla: bool, what: &'static str, cql: &str, table: &str) -> Result<Vec<R>, Error>
where
    R: 'static + for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
{
    let of = |keyspace: &str| connection.rows(what, &format!("{cql} {keyspace}.{table}"));
    if is_scylla && let Ok(rows) = of("system") {
        return Ok(rows);
    }
    of("system_auth")
}

fn readable<T>(read: Result<T, Error>, what: &str, facts: &mut Facts) -> Result<Option<T>, Stopped> {
    match read {
        Ok(rows) => Ok(Some(rows)),
        Err(Error::Stopped(stopped)) => Err(stopped),
        Err(Error::Cassandra { why, .. }) => {
            facts.left_out.push(format!("{what}: {why}"));
            Ok(None)
        }
        Err(other) => {
            facts.left_out.push(format!("{what}: {other}"));
            Ok(None)
        }
    }
}

fn sorted(names: Option<Vec<String>>) -> Vec<String> {
    let mut names = names.unwrap_or_default();
    names.sort();
    names
}
