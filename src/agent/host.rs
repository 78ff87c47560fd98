//! What the agent has of the process that it runs in: a service manager, and somebody who asks for the configuration to be read again.

use super::run::Settings;
use crate::ops::Context;
use crate::sys::reload::Reload;
use crate::sys::service::Service;

/// Reads the configuration again. It gives nothing where that cannot be used, and has told why.
pub type Load<'a> = &'a dyn Fn() -> Option<(Context, Settings)>;

/// What the agent has of the process that it runs in.
pub struct Host<'a> {
    /// Who is told what goes on.
    pub service: Service,
    /// Whether the configuration is to be read again.
    pub reload: Reload,
    /// Reads it.
    pub load: Load<'a>,
}

impl Host<'static> {
    /// A process that nobody manages and whose configuration stays what it is.
    pub fn alone() -> Self {
        Self { service: Service::none(), reload: Reload::new(), load: &|| None }
    }
}

/// Why what was read cannot take the place of what is in force, if it cannot: the agent holds locks and state by these two.
pub(super) fn needs_restart(old: &Context, new: &Context) -> Option<&'static str> {
    let dir = |ctx: &Context| ctx.local.as_ref().map(|local| local.dir.clone());
    if old.node != new.node {
        Some("`node.name`")
    } else if dir(old) != dir(new) {
        Some("`local.dir`")
    } else {
        None
    }
}
