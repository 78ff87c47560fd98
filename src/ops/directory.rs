//! A directory source, as the source room takes it.

use std::path::Path;

use super::spec::{SourceKind, SourceSpec};
use super::{Context, Error};
use crate::source::directory::{Directory, Exclude};

/// The tree that a directory source stands for; local copies that lie inside it are not part of it.
pub(crate) fn directory(ctx: &Context, spec: &SourceSpec) -> Result<Directory, Error> {
    let SourceKind::Directory { path, exclude, cross_filesystems } = &spec.kind else {
        return Err(Error::Refused(format!("`{}` is not a directory", spec.name)));
    };
    let mut exclude = exclude.clone();
    exclude.extend(own_copies(&ctx.local()?.dir, path)?);
    Ok(Directory { root: path.clone(), exclude: Exclude::new(&exclude)?, cross_filesystems: *cross_filesystems })
}

/// A pattern for the folder of local copies, when it lies inside a source: each copy would hold all copies before it.
fn own_copies(local: &Path, root: &Path) -> Result<Option<String>, Error> {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (local, root) = (resolved(local), resolved(root));
    let Ok(inside) = local.strip_prefix(&root) else { return Ok(None) };
    let unusable = || Error::Usage(format!("{} is or holds the source {}: put local copies elsewhere", local.display(), root.display()));
    let inside = inside.to_str().filter(|inside| !inside.is_empty()).ok_or_else(unusable)?;
    Ok(Some(format!("/{}", globset::escape(inside))))
}
