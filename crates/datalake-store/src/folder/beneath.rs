//! Opens files of a folder store without following a link out of it.
//!
//! A user who may write to `src-data/` can create a link there. Following a link out of the lake would publish files that only this process
//! may read. So the system resolves each path beneath the root in the same call that opens it. A separate check could be bypassed by
//! swapping the link after it.

use std::{
    fs::{self, File, Metadata as FileMetadata},
    io,
    path::{Path, PathBuf},
};

/// Opens the file of a key for reading. A FIFO or device does not block: it is opened, and its description shows that it is not a file. A
/// path out of `root`, a loop of links, or a socket is [`io::ErrorKind::NotFound`], because it is not an object.
pub(super) fn open(root: &Path, key: &str) -> io::Result<File> {
    resolve(root, Path::new(key), Purpose::Read)
}

/// Describes what is at a path below `root`, without opening it. Follows links beneath `root`.
pub(super) fn describe(root: &Path, within: &Path) -> io::Result<FileMetadata> {
    resolve(root, within, Purpose::Describe)?.metadata()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Read,
    Describe,
}

#[cfg(target_os = "linux")]
fn resolve(root: &Path, within: &Path, purpose: Purpose) -> io::Result<File> {
    use nix::{errno::Errno, fcntl::ResolveFlag};
    let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match open_beneath(root, within, purpose, beneath) {
        Ok(file) => Ok(file),
        // The path contains a link to an absolute path, or one of the lake's folders is a link. The target is opened without following
        // links.
        Err(Errno::EXDEV) => {
            let (base, rest) = real_place(root, within)?;
            open_beneath(&base, &rest, purpose, beneath | ResolveFlag::RESOLVE_NO_SYMLINKS).map_err(not_an_object)
        }
        // Linux before 5.6, or a sandbox that does not know the call.
        Err(Errno::ENOSYS | Errno::EPERM) => resolve_by_name(root, within),
        Err(error) => Err(not_an_object(error)),
    }
}

#[cfg(target_os = "linux")]
fn not_an_object(error: nix::errno::Errno) -> io::Error {
    use nix::errno::Errno;
    match error {
        Errno::EXDEV | Errno::ELOOP | Errno::ENXIO => io::ErrorKind::NotFound.into(),
        error => error.into(),
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(root: &Path, within: &Path, purpose: Purpose, resolution: nix::fcntl::ResolveFlag) -> nix::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::{
        errno::Errno,
        fcntl::{OFlag, OpenHow, openat2},
    };
    /// The kernel returns EAGAIN if something was renamed during the call.
    const ATTEMPTS_MAX: usize = 16;
    let as_folder = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    let folder = fs::OpenOptions::new().read(true).custom_flags(as_folder).open(root);
    let folder = folder.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
    let flags = match purpose {
        Purpose::Read => OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Purpose::Describe => OFlag::O_PATH,
    };
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolution);
    let mut result = Err(Errno::EAGAIN);
    for _ in 0..ATTEMPTS_MAX {
        result = openat2(&folder, within, how);
        if !matches!(result, Err(Errno::EAGAIN)) {
            break;
        }
    }
    result.map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn resolve(root: &Path, within: &Path, _: Purpose) -> io::Result<File> {
    resolve_by_name(root, within)
}

/// The target of a path, as a folder without links and a path below it. The target must be within the lake, or within the target of one of
/// the lake's own folders: an operator may keep those on another file system, and users who write sources cannot replace them.
fn real_place(root: &Path, within: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let path = fs::canonicalize(root.join(within))?;
    let own_folder = within.components().next().map_or_else(|| root.to_owned(), |first| root.join(first));
    for base in [root, &own_folder] {
        let base = fs::canonicalize(base)?;
        if let Ok(rest) = path.strip_prefix(&base)
            && !rest.as_os_str().is_empty()
        {
            return Ok((base.clone(), rest.to_owned()));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Resolves a path without help of the system. A link that is swapped between the two steps is followed.
fn resolve_by_name(root: &Path, within: &Path) -> io::Result<File> {
    let (base, rest) = real_place(root, within)?;
    let path = base.join(rest);
    if !fs::metadata(&path)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    File::open(path)
}
