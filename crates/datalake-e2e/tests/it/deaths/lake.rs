//! A lake in a folder or on an S3 server, read and edited without the product.

use std::{
    collections::BTreeMap,
    fs::{self, FileTimes, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::{
    moved_clock::MovedClock,
    s3_client::{S3Client, now, sha256_hex},
};
use crate::server::executable;

pub(super) const SOURCES: &str = "src-data/";
pub(super) const OUTPUT: &str = "processed_data/output.csv";
pub(super) const IMAGES: &str = "processed_data/images/";
pub(super) const RUNS: &str = "processed_data/runs/";
pub(super) const TABLE: &str = "processed_data/users/";
pub(super) const LOG: &str = "processed_data/users/_delta_log/";
pub(super) const INGEST: &str = "processed_data/users/_ingest/";
/// Notes with the users whose image copies a run changes.
pub(super) const NOTES: &str = "processed_data/users/_ingest/images-";
pub(super) const LAST_VACUUM: &str = "processed_data/users/_ingest/last_vacuum.json";

/// The folder of internal files in a folder lake.
const PRIVATE: &str = ".datalake";

/// The bucket that all tests share; each lake is a prefix.
const BUCKET: &str = "datalake-deaths";

/// Objects by key.
pub(super) type Objects = BTreeMap<String, Vec<u8>>;

/// The storage of a lake. Clones share the lake.
#[derive(Clone, Debug)]
pub(super) enum Lake {
    Folder(Arc<Folder>),
    S3 {
        client: S3Client,
        prefix: Arc<str>,
        /// The clock that runs see for the server and for the machine.
        clock: Option<Arc<MovedClock>>,
    },
}

/// A folder lake, which is removed with the last clone.
#[derive(Debug)]
pub(super) struct Folder {
    lake: PathBuf,
    /// Sources that were replaced or removed, outside of the lake.
    kept: PathBuf,
    _removed_at_the_end: TempDir,
}

impl Lake {
    /// An empty folder lake.
    pub(super) fn in_folder() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (lake, kept) = (folder.path().join("lake"), folder.path().join("kept"));
        fs::create_dir_all(lake.join(SOURCES)).unwrap();
        fs::create_dir_all(&kept).unwrap();
        Self::Folder(Arc::new(Folder {
            lake,
            kept,
            _removed_at_the_end: folder,
        }))
    }

    /// An empty lake on a server: a prefix that no other test uses.
    pub(super) fn on_s3(client: &S3Client) -> Self {
        static LAKES: AtomicU64 = AtomicU64::new(0);
        client.create_bucket(BUCKET);
        let started = now().as_millisecond();
        let number = LAKES.fetch_add(1, Ordering::Relaxed);
        Self::S3 {
            client: client.clone(),
            prefix: format!("{started}-{}-{number}/", std::process::id()).into(),
            clock: None,
        }
    }

    /// An empty lake on a server, with a clock that can be moved.
    pub(super) fn with_clock(client: &S3Client) -> (Self, Arc<MovedClock>) {
        let (mut lake, moved) = (Self::on_s3(client), Arc::new(MovedClock::start(client)));
        if let Self::S3 { clock, .. } = &mut lake {
            *clock = Some(Arc::clone(&moved));
        }
        (lake, moved)
    }

    /// The moved clock of this lake, if there is one.
    pub(super) fn clock(&self) -> Option<&MovedClock> {
        match self {
            Self::S3 { clock, .. } => clock.as_deref(),
            Self::Folder(_) => None,
        }
    }

    /// The folder of a folder lake.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(&folder.lake),
            Self::S3 { .. } => None,
        }
    }

    /// The executable with a command over this lake. `endpoint` is the host and port of a proxy in front of the S3 server.
    pub(super) fn command(&self, name: &str, endpoint: Option<&str>) -> Command {
        let mut command = Command::new(executable());
        self.configure(command.arg(name), endpoint);
        command
    }

    /// Adds the lake's URL and address to a command.
    pub(super) fn configure(&self, command: &mut Command, endpoint: Option<&str>) {
        for name in [
            "DATALAKE_LAKE",
            "DATALAKE_RUN_ID",
            "DATALAKE_MAX_REJECT_RATIO",
            "DATALAKE_SINGLE_WRITER",
        ] {
            command.env_remove(name);
        }
        match self {
            Self::Folder(folder) => command.arg("--lake").arg(&folder.lake),
            Self::S3 { client, prefix, clock } => {
                let mut address = client.server.as_str();
                if let Some(clock) = clock {
                    clock.configure(command);
                    address = &clock.proxy.address;
                }
                let endpoint = format!("http://{}", endpoint.unwrap_or(address));
                command.args(["--lake", &format!("s3://{BUCKET}/{prefix}"), "--s3-endpoint", &endpoint])
            }
        };
    }

    /// The key of the object that a request through a proxy accesses; none for other requests and other lakes.
    pub(super) fn key_of<'a>(&self, target: &'a str) -> Option<&'a str> {
        let Self::S3 { prefix, .. } = self else { return None };
        let path = target.split('?').next()?;
        path.strip_prefix('/')?
            .strip_prefix(BUCKET)?
            .strip_prefix('/')?
            .strip_prefix(&**prefix)
    }

    /// The keys under a prefix, in order.
    pub(super) fn keys(&self, under: &str) -> Vec<String> {
        match self {
            Self::Folder(folder) => {
                let mut keys = Vec::new();
                walk(&folder.lake, "", &mut keys);
                keys.retain(|key| key.starts_with(under));
                keys.sort_unstable();
                keys
            }
            Self::S3 { client, prefix, .. } => {
                let listed = client.list(BUCKET, &format!("{prefix}{under}"));
                listed.iter().map(|key| key[prefix.len()..].to_owned()).collect()
            }
        }
    }

    /// An object's bytes; none if there is none.
    pub(super) fn read(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Self::Folder(_) => match fs::read(self.path(key)) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => panic!("{key}: {error}"),
            },
            Self::S3 { client, prefix, .. } => client.get(BUCKET, &format!("{prefix}{key}")),
        }
    }

    /// The objects under a prefix.
    pub(super) fn objects(&self, under: &str) -> Objects {
        let read = |key: String| self.read(&key).map(|bytes| (key, bytes));
        self.keys(under).into_iter().filter_map(read).collect()
    }

    /// The user metadata of an object on S3.
    pub(super) fn metadata(&self, key: &str) -> BTreeMap<String, String> {
        match self {
            Self::Folder(_) => BTreeMap::new(),
            Self::S3 { client, prefix, .. } => client.metadata(BUCKET, &format!("{prefix}{key}")).unwrap_or_default(),
        }
    }

    /// Writes an object.
    pub(super) fn write(&self, key: &str, bytes: &[u8]) {
        match self {
            Self::Folder(folder) => {
                folder.archive(key);
                let (path, kept) = (folder.lake.join(key), folder.archived(key, bytes));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                if !kept.exists() {
                    fs::write(&kept, bytes).unwrap();
                }
                fs::rename(kept, path).unwrap();
            }
            Self::S3 { client, prefix, .. } => client.put(BUCKET, &format!("{prefix}{key}"), bytes.to_vec()),
        }
    }

    /// Removes an object.
    pub(super) fn remove(&self, key: &str) {
        match self {
            Self::Folder(folder) => {
                folder.archive(key);
                fs::remove_file(folder.lake.join(key)).unwrap();
            }
            Self::S3 { client, prefix, .. } => client.delete(BUCKET, &format!("{prefix}{key}")),
        }
    }

    /// Replaces the sources, without changing objects that are already equal.
    pub(super) fn set_sources(&self, sources: &Objects) {
        let present = self.objects(SOURCES);
        for key in present.keys().filter(|key| !sources.contains_key(*key)) {
            self.remove(key);
        }
        for (key, bytes) in sources.iter().filter(|(key, bytes)| present.get(*key) != Some(bytes)) {
            self.write(key, bytes);
        }
    }

    /// Sets the time of an object of a folder lake back.
    pub(super) fn set_back(&self, key: &str, by: Duration) {
        set_back(&self.path(key), by);
    }

    /// Sets the times of all derived and staged files of a folder lake back, as if time had passed. Sources keep their times, so a run sees
    /// that they have not changed.
    pub(super) fn set_all_back(&self, by: Duration) {
        let sources = self.path(SOURCES);
        let mut todo = vec![self.folder().expect("only the times of files can be set").to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true if path == sources => {}
                    true => todo.push(path),
                    false => set_back(&path, by),
                }
            }
        }
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.folder().expect("only the objects of a folder have paths").join(key)
    }
}

impl Folder {
    /// Archives a source before it is replaced or removed. When the edit is undone, the file has the same inode, as after `mv`.
    fn archive(&self, key: &str) {
        let path = self.lake.join(key);
        if let (true, Ok(bytes)) = (key.starts_with(SOURCES), fs::read(&path)) {
            let kept = self.archived(key, &bytes);
            let _may_be_kept_already = fs::remove_file(&kept);
            fs::hard_link(path, kept).unwrap();
        }
    }

    /// The path of the archived file with these bytes.
    fn archived(&self, key: &str, bytes: &[u8]) -> PathBuf {
        self.kept.join(sha256_hex(&[key.as_bytes(), b"\n", bytes].concat()))
    }
}

fn set_back(path: &Path, by: Duration) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let modified: SystemTime = file.metadata().unwrap().modified().unwrap();
    file.set_times(FileTimes::new().set_modified(modified - by)).unwrap();
}

fn walk(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Runs create and remove files while the tests list them.
        let Ok(kind) = entry.file_type() else { continue };
        match kind.is_dir() {
            true if prefix.is_empty() && name == PRIVATE => {}
            true => walk(&entry.path(), &format!("{prefix}{name}/"), keys),
            false => keys.push(format!("{prefix}{name}")),
        }
    }
}
