//! A folder whose disk has bad sectors, around a real one: a file without any permission stands for one that no read gives.

use std::fmt;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore};
use object_store::{PutMultipartOptions, PutOptions, PutPayload, PutResult, Result};
use windlass::repository::Repository;

use super::node::{Node, tools};

/// What the kernel answers where a sector cannot be read.
const EIO: i32 = 5;

/// The disk.
#[derive(Debug)]
struct BadSectors {
    inner: LocalFileSystem,
    folder: PathBuf,
}

/// The repository of this node, a folder, on such a disk.
pub fn with_bad_sectors(node: &Node) -> Repository {
    let folder = node.path("bucket");
    let inner = LocalFileSystem::new_with_prefix(&folder).unwrap();
    let store = Arc::new(BadSectors { inner, folder });
    Repository::over(store, "", node.repository.describe(), tools(node.clock.clone(), node.stop.clone()))
}

/// From now on, no read gives this file.
pub fn go_bad(file: &std::path::Path) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o000)).unwrap();
}

impl BadSectors {
    fn read(&self, location: &Path) -> Result<()> {
        match std::fs::metadata(self.folder.join(location.as_ref())) {
            Ok(file) if file.permissions().mode() & 0o777 == 0 => {
                let source = Box::new(std::io::Error::from_raw_os_error(EIO));
                Err(object_store::Error::Generic { store: "BadSectors", source })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for BadSectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BadSectors({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for BadSectors {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !options.head {
            self.read(location)?;
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(location)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
