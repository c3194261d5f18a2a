//! A file that is watched for other content: the configuration, where whoever changes it can't send a signal.
//!
//! It is looked at once a second instead of asking the kernel for events (inotify): those are about one inode, of which a
//! ConfigMap's swapped symbolic links, an editor's rename and a mount over it make another one; and over a network they
//! don't come at all. A look is one call; the content is read only when that says something new.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::config;

/// What is known of the file.
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    looks: Interval,
    /// At the last look; `None` if there was no file.
    seen: Option<Stamp>,
    /// Whose content has been compared.
    compared: Option<Stamp>,
    content: Option<u64>,
}

impl FileWatch {
    /// How often it is looked. A change is told when it has stood still from one look to the next, so that no half of it is
    /// taken for the whole: within two looks.
    pub const LOOK: Duration = Duration::from_secs(1);

    /// Watches for what is not as it is now. Within a runtime.
    pub fn new(path: &Path) -> Self {
        let mut looks = interval_at(Instant::now() + Self::LOOK, Self::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stamp = Stamp::of(path);
        Self { path: path.to_owned(), looks, seen: stamp, compared: stamp, content: digest(path).ok() }
    }

    /// Returns when the file has other content than when this last returned. May be cancelled and asked anew.
    pub async fn changed(&mut self) {
        loop {
            self.looks.tick().await;
            if self.look() {
                return;
            }
        }
    }

    /// Whether there is something new that has stood still since the look before.
    fn look(&mut self) -> bool {
        let stamp = Stamp::of(&self.path);
        let stands_still = self.seen == stamp;
        self.seen = stamp;
        if !stands_still || self.compared == stamp {
            return false;
        }
        self.compared = stamp;
        match digest(&self.path) {
            Ok(content) if self.content == Some(content) => false,
            Ok(content) => {
                self.content = Some(content);
                true
            }
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the watched file can't be read: it stays as it was");
                false
            }
        }
    }
}

/// What changes with a file's content, symbolic links followed: none of it alone is sure to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// Of as much of the content as a configuration may have.
fn digest(path: &Path) -> io::Result<u64> {
    // A pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(config::MAX_FILE + 1).read_to_end(&mut content)?;
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn directory_with(content: &str) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("evenkeel.toml");
        fs::write(&file, content).unwrap();
        (directory, file)
    }

    /// How many of the next four looks have something to tell.
    fn told(watch: &mut FileWatch) -> usize {
        (0..4).filter(|_| watch.look()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn other_content_is_told_once() {
        let (_directory, file) = directory_with("one");
        let mut watch = FileWatch::new(&file);
        assert_eq!(told(&mut watch), 0);
        for content in ["other", "a third", "third a"] {
            fs::write(&file, content).unwrap();
            assert_eq!(told(&mut watch), 1, "{content}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_still_being_written_is_not_told() {
        let (_directory, file) = directory_with("");
        let mut watch = FileWatch::new(&file);
        for length in 1..10 {
            fs::write(&file, "x".repeat(length)).unwrap();
            assert!(!watch.look(), "{length} letters");
        }
        assert_eq!(told(&mut watch), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_content_in_another_file_is_nothing_new() {
        let (directory, file) = directory_with("one");
        let mut watch = FileWatch::new(&file);
        let fresh = directory.path().join("fresh");
        fs::write(&fresh, "one").unwrap();
        fs::rename(&fresh, &file).unwrap();
        assert_eq!(told(&mut watch), 0);
        fs::write(&fresh, "two").unwrap();
        fs::rename(&fresh, &file).unwrap();
        assert_eq!(told(&mut watch), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_swap_of_a_config_map_is_told() {
        // What a kubelet makes: file -> ..data/file, ..data -> ..TIME, which it swaps by renaming another link over it.
        let directory = tempfile::tempdir().unwrap();
        let volume = |name: &str| directory.path().join(name);
        for (time, content) in [("..1", "one"), ("..2", "two"), ("..3", "two")] {
            fs::create_dir(volume(time)).unwrap();
            fs::write(volume(time).join("evenkeel.toml"), content).unwrap();
        }
        symlink("..1", volume("..data")).unwrap();
        symlink("..data/evenkeel.toml", volume("evenkeel.toml")).unwrap();
        let mut watch = FileWatch::new(&volume("evenkeel.toml"));
        for (time, expected) in [("..2", 1), ("..3", 0), ("..1", 1)] {
            symlink(time, volume("..data_tmp")).unwrap();
            fs::rename(volume("..data_tmp"), volume("..data")).unwrap();
            assert_eq!(told(&mut watch), expected, "{time}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_vanishes_is_no_other_content() {
        let (_directory, file) = directory_with("one");
        let mut watch = FileWatch::new(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(told(&mut watch), 0);
        fs::write(&file, "one").unwrap();
        assert_eq!(told(&mut watch), 0, "it is back as it was");
        fs::remove_file(&file).unwrap();
        assert_eq!(told(&mut watch), 0);
        fs::write(&file, "two").unwrap();
        assert_eq!(told(&mut watch), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_file_is_neither_read_nor_waited_for() {
        let (_directory, file) = directory_with("one");
        let mut watch = FileWatch::new(&file);
        fs::remove_file(&file).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(told(&mut watch), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_within_two_looks_though_others_interrupt() {
        let (_directory, file) = directory_with("one");
        let mut watch = FileWatch::new(&file);
        fs::write(&file, "other").unwrap();
        let begun = Instant::now();
        // Something else has its turn ten times a second, and each time the watch is asked anew.
        while tokio::time::timeout(FileWatch::LOOK / 10, watch.changed()).await.is_err() {}
        assert!(begun.elapsed() <= FileWatch::LOOK * 2);
    }
}
