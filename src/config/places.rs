//! Folders that must not lie inside one another: a source that held its own copies would grow with each of them.

use std::path::{Path, PathBuf};

use super::file::{File, Kind, Source};
use super::mistake::Gatherer;

/// Compares the folder of local copies, a repository in a folder and the sources.
pub(super) fn check(file: &File, local: &Path, gather: &Gatherer<'_>) {
    let repository = file.repository.url.as_ref().and_then(|url| Some((url, PathBuf::from(url.value.strip_prefix("file://")?))));
    if let Some((url, folder)) = &repository
        && (folder.starts_with(local) || local.starts_with(folder))
    {
        gather.mistake(url.at, &url.key, format!("the repository and the local copies ({}) must not share a folder", local.display()));
    }
    for source in &file.sources {
        let Some(path) = &source.path else { continue };
        let kept = [(Some(local), "the local copies"), (repository.as_ref().map(|(_, folder)| &**folder), "the repository")];
        for (folder, what) in kept {
            let Some(folder) = folder else { continue };
            if path.value.starts_with(folder) {
                gather.mistake(path.at, &path.key, format!("this lies inside the folder of {what} ({})", folder.display()));
            } else if source.kind == Kind::Directory && folder.starts_with(&path.value) && !excludes(source, &path.value, folder) {
                let pattern = folder.strip_prefix(&path.value).unwrap_or(folder).display();
                let message = format!(
                    "the folder of {what} ({}) lies inside this source: exclude = [\"/{pattern}\"] leaves it out",
                    folder.display()
                );
                gather.mistake(path.at, &path.key, message);
            }
        }
    }
}

/// Whether a pattern leaves out `folder` or a folder above it. Only patterns without wildcards count: those cannot be meant otherwise.
fn excludes(source: &Source, root: &Path, folder: &Path) -> bool {
    let Ok(below) = folder.strip_prefix(root) else { return false };
    let patterns = source.exclude.iter().flat_map(|exclude| &exclude.value);
    patterns.map(|pattern| (pattern, pattern.trim_matches('/'))).any(|(pattern, parts)| {
        if pattern.trim_end_matches('/').contains('/') {
            !parts.is_empty() && below.starts_with(parts)
        } else {
            below.components().any(|part| part.as_os_str() == parts)
        }
    })
}
