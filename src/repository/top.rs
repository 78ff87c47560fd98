//! What lies directly at the repository's root, without what is below: a store tells that without listing everything.

use object_store::ListResult;
use object_store::ObjectStore;
use object_store::list::PaginatedListOptions;
use object_store::path::Path;

use super::core::Core;
use super::error::Error;
use super::patience::{ANSWER, within};

/// A page of names, and what asks for the next one.
pub(super) type Page = (Vec<String>, Option<String>);

impl Core {
    /// The names at the root, folders with a `/` at their end. Buckets tell them page by page.
    pub(super) async fn top(&self, token: Option<String>) -> Result<Page, Error> {
        let at = self.at("list", "");
        let Some(pages) = &self.pages else {
            let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
            let list = || async {
                self.check_folder()?;
                within(ANSWER, self.store.list_with_delimiter(prefix)).await
            };
            return Ok((self.names(&self.retry(at, list).await?), None));
        };
        let prefix = match self.prefix.as_ref() {
            "" => None,
            prefix => Some(format!("{prefix}/")),
        };
        let options = || PaginatedListOptions { delimiter: Some("/".into()), page_token: token.clone(), ..PaginatedListOptions::default() };
        let page = self.retry(at, || async { within(ANSWER, pages.list_paginated(prefix.as_deref(), options())).await }).await?;
        Ok((self.names(&page.result), page.page_token))
    }

    fn names(&self, listed: &ListResult) -> Vec<String> {
        let relative = |path: &Path| match self.prefix.as_ref() {
            "" => Some(path.as_ref().to_owned()),
            prefix => path.as_ref().strip_prefix(prefix)?.strip_prefix('/').map(str::to_owned),
        };
        let folders = listed.common_prefixes.iter().filter_map(relative).map(|name| format!("{name}/"));
        // A store may hold an empty object that stands for the root itself.
        folders
            .chain(listed.objects.iter().filter_map(|meta| relative(&meta.location)))
            .filter(|name| !name.trim_matches('/').is_empty())
            .collect()
    }
}
