//! What a snapshot holds, and whether it can be read: every content is decrypted and its SHA-256 compared with its name.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustic_core::repofile::{BlobType, IndexFile, Node, SnapshotFile};
use rustic_core::{BlobId, DataId, IndexedFullStatus, Repository};
use sha2::{Digest as _, Sha256};

use super::super::entry::{Entry, encode};
use super::meter::Meter;
use super::open::failed;
use super::tree_id;
use crate::driver::archive::pack::threads;
use crate::driver::archive::walk::Found;
use crate::driver::host::local_file;
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

/// All nodes of a backup, relative to its folder, what is above first.
pub(super) struct Contents {
    pub(super) nodes: Vec<(PathBuf, Node)>,
    /// The contents that no proved backup has at the same place.
    new: HashSet<DataId>,
    dir: PathBuf,
    id: String,
}

/// A backup that is not what it was when it was made.
fn damaged(dir: &Path, id: &str, what: impl Display) -> Failure {
    Failure::new(FailureKind::Failed, format!("the backup `{id}` in `{}` is damaged: {what}", dir.display()))
        .help("use an older backup, and check the disk that the repository lies on")
}

impl Contents {
    /// Reads every tree of the snapshot. `proved`: a backup that was read back; of that one only the folders that differ are read.
    pub(super) fn of(
        repository: &Repository<IndexedFullStatus>,
        dir: &Path,
        (entry, snapshot): (&Entry, &SnapshotFile),
        proved: Option<(&Entry, &SnapshotFile)>,
    ) -> Result<Self, Failure> {
        let wrong = |what: &dyn Display| damaged(dir, &entry.id, what);
        let unread = |error: Box<rustic_core::RusticError>| wrong(&failed(dir, &error).message);
        if tree_id(&entry.data_sha256) != Some(*snapshot.tree) {
            return Err(wrong(&"its snapshot holds something else than when it was made"));
        }
        let root = repository.node_from_path(snapshot.tree, Path::new(&entry.path)).map_err(unread)?;
        // Where the proved one cannot be read, nothing is known.
        let before = proved.and_then(|(entry, snapshot)| repository.node_from_path(snapshot.tree, Path::new(&entry.path)).ok());
        let (mut nodes, mut new) = (Vec::new(), HashSet::new());
        let mut open = vec![(PathBuf::new(), root, Earlier::of(before))];
        while let Some((path, node, earlier)) = open.pop() {
            if !earlier.knows(&node) {
                new.extend(node.content.iter().flatten().copied());
            }
            if let Some(subtree) = node.subtree {
                let tree = repository.get_tree(&subtree).map_err(unread)?;
                let mut below = earlier.below(repository, &node);
                for child in tree.nodes.into_iter().rev() {
                    let earlier = below.take(&child);
                    open.push((path.join(child.name()), child, earlier));
                }
            }
            if !path.as_os_str().is_empty() {
                nodes.push((path, node));
            }
        }
        Ok(Self { nodes, new, dir: dir.to_owned(), id: entry.id.clone() })
    }

    fn damaged(&self, what: impl Display) -> Failure {
        damaged(&self.dir, &self.id, what)
    }

    /// The contents of all files, each once.
    fn blobs(&self) -> HashSet<DataId> {
        self.nodes.iter().flat_map(|(_, node)| node.content.iter().flatten()).copied().collect()
    }

    /// Looks that all that was found in the source is here. What changed meanwhile may be missing.
    pub(super) fn holds(&self, found: &[Found], changed: &[String]) -> Result<(), Failure> {
        let here: HashMap<&Path, &Node> = self.nodes.iter().map(|(path, node)| (path.as_path(), node)).collect();
        let changed: HashSet<&str> = changed.iter().map(String::as_str).collect();
        for found in found {
            let right = here.get(found.path.as_path()).is_some_and(|node| {
                node.is_dir() == found.metadata.is_dir()
                    && node.is_symlink() == found.target.is_some()
                    && (!node.is_file() || node.meta.size == found.metadata.len())
            });
            if !right && !changed.contains(encode(&found.path).as_str()) {
                return Err(self.damaged(format_args!("`{}` is not in it", found.path.display())));
            }
        }
        Ok(())
    }

    /// Looks that every content is known, that the files' lengths are right, and that the packs are there and whole.
    pub(super) fn check_packs(&self, repository: &Repository<IndexedFullStatus>) -> Result<(), Failure> {
        let mut packs = HashSet::new();
        for (path, node) in self.nodes.iter().filter(|(_, node)| node.is_file()) {
            let mut size = 0;
            for id in node.content.iter().flatten() {
                let entry = repository
                    .get_index_entry(id)
                    .map_err(|_| self.damaged(format_args!("a part of `{}` is missing", path.display())))?;
                size += u64::from(entry.data_length());
                packs.insert(entry.pack);
            }
            if size != node.meta.size {
                return Err(self.damaged(format_args!("`{}` has another length than its parts", path.display())));
            }
        }
        let unread = |error: &rustic_core::RusticError| self.damaged(failed(&self.dir, error).message);
        for item in repository.stream_files::<IndexFile>().map_err(|error| unread(&error))? {
            let (_, index) = item.map_err(|error| unread(&error))?;
            for pack in index.packs.iter().filter(|pack| packs.contains(&pack.id)) {
                let name = pack.id.to_hex().to_string();
                let path = self.dir.join("data").join(&name[..2]).join(&name);
                if local_file::stat(&path, true)?.map(|stat| stat.size) != Some(u64::from(pack.pack_size())) {
                    return Err(self.damaged(format_args!("`{}` is missing or cut off", path.display())));
                }
            }
        }
        Ok(())
    }

    /// Reads every content back, on all processors; or only those that no proved backup has.
    pub(super) fn read_back(
        &self,
        repository: &Repository<IndexedFullStatus>,
        all: bool,
        watch: &mut Watch,
    ) -> Result<(), Failure> {
        let mut blobs = Vec::new();
        let mut total = 0;
        for id in if all { self.blobs() } else { self.new.clone() } {
            let entry = repository.get_index_entry(&id).map_err(|error| self.damaged(failed(&self.dir, &error).message))?;
            total += u64::from(entry.data_length());
            blobs.push((entry.pack, entry.location.offset, id));
        }
        // In the order of the disk.
        blobs.sort_unstable();
        watch.expect(Some(total));
        let meter = Meter::of(watch);
        each(&blobs, watch, |(_, _, id)| {
            meter.add(self.content(repository, *id)?.len() as u64);
            Ok(())
        })
    }

    /// One content, compared with its name.
    pub(super) fn content(&self, repository: &Repository<IndexedFullStatus>, id: DataId) -> Result<bytes::Bytes, Failure> {
        let bytes = repository
            .get_blob_cached(&BlobId::from(id), BlobType::Data)
            .map_err(|error| self.damaged(failed(&self.dir, &error).message))?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        if rustic_core::Id::new(digest) != *id {
            return Err(self.damaged("a content is not what its name says"));
        }
        Ok(bytes)
    }
}

/// What a proved backup has at the place of a node.
enum Earlier {
    /// Nothing.
    Nothing,
    /// This.
    Node(Box<Node>),
    /// The same, and the same below it.
    Same,
}

impl Earlier {
    fn of(node: Option<Node>) -> Self {
        node.map_or(Self::Nothing, |node| Self::Node(Box::new(node)))
    }

    /// Whether a node's own content was proved.
    fn knows(&self, node: &Node) -> bool {
        match self {
            Self::Nothing => false,
            Self::Node(before) => before.content == node.content,
            Self::Same => true,
        }
    }

    /// What it has below a folder.
    fn below(&self, repository: &Repository<IndexedFullStatus>, node: &Node) -> Below {
        match self {
            Self::Nothing => Below::Names(HashMap::new()),
            Self::Same => Below::Same,
            Self::Node(before) if before.subtree == node.subtree => Below::Same,
            Self::Node(before) => {
                let tree = before.subtree.and_then(|tree| repository.get_tree(&tree).ok());
                let names = tree.into_iter().flat_map(|tree| tree.nodes).map(|node| (node.name.clone(), node));
                Below::Names(names.collect())
            }
        }
    }
}

/// What a proved backup has in a folder.
enum Below {
    Names(HashMap<String, Node>),
    Same,
}

impl Below {
    fn take(&mut self, node: &Node) -> Earlier {
        match self {
            Self::Same => Earlier::Same,
            Self::Names(names) => Earlier::of(names.remove(&node.name)),
        }
    }
}

/// Does something with each item, on all processors; ends early at the first failure, and when told to stop.
pub(super) fn each<T: Sync>(items: &[T], watch: &Watch, work: impl Fn(&T) -> Result<(), Failure> + Sync) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Failure>> = Mutex::new(None);
    let stop = watch.stop().child_token();
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop.is_cancelled() {
                        return;
                    }
                    if let Err(error) = work(item) {
                        failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
                        stop.cancel();
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None if stop.is_cancelled() => Err(Failure::new(FailureKind::Cancelled, "told to stop")),
        None => Ok(()),
    }
}
