//! How far a walk is: on disk, so that another process goes on, and in memory, so that nothing that a
//! stopped one has seen is lost where the disk is full or not to be used.

use super::walk::Collector;
use crate::data::{Record, cache_folder};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Progress is written this often, or less often where writing takes long.
const PAUSE: Duration = Duration::from_secs(20);
/// Writing may take this share of the time.
const SHARE: u32 = 20;
const BATCHES: &str = "batches done";
const BLOCKS: &str = "blocks done";

/// Where walks keep what they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    pub(super) place: Where,
    /// After how many batches.
    pub(super) every: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Where {
    /// In the folder of the environment.
    #[default]
    Default,
    Folder(PathBuf),
    Nowhere,
}

/// How many walks that were stopped are remembered.
const MOST_STOPPED: usize = 4;

/// The walks that were stopped in this process, and are not on disk; the last comes last.
static STOPPED: Mutex<Vec<Stopped>> = Mutex::new(Vec::new());

struct Stopped {
    key: String,
    at: At,
    record: Record,
}

/// What a collector has seen: whole batches, and so many blocks of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) batches: usize,
    pub(super) blocks: usize,
}

/// How far one walk is.
pub(super) struct Progress {
    /// The name of the walk, once it is needed; a model with hooks has none.
    key: Option<String>,
    has_hooks: bool,
    path: Option<PathBuf>,
    total: usize,
    pub(super) at: At,
    /// Whether the collector has seen a part of a block, and so nothing that can be gone on from.
    is_inside: bool,
    /// What the disk knows of.
    written: At,
    every: Option<usize>,
    last: Instant,
    /// How long the last writing took.
    cost: Duration,
}

impl Progress {
    /// What is known of a walk with this name; the collector goes on from there. A name is the hash of all
    /// weights, and only asked for where something may be known.
    ///
    /// # Errors
    /// There is no folder to keep it in; a folder was given for a model with hooks.
    pub(super) fn find<C: Collector>(
        storage: &Storage,
        key: impl FnOnce(&C) -> Result<String>,
        total: usize,
        has_hooks: bool,
        collector: &mut C,
    ) -> Result<Self> {
        let folder = match (&storage.place, has_hooks) {
            (Where::Folder(_), true) => {
                return Err(Error::new(
                    "a sweep of a model with hooks is not kept on disk, as a hook has no name to find \
                     it by: use `.no_cache()`, or sweep the model without the hooks.",
                ));
            }
            (Where::Nowhere, _) | (Where::Default, true) => None,
            (Where::Folder(folder), false) => Some(folder.clone()),
            (Where::Default, false) => Some(cache_folder()?.join("sweeps")),
        };
        let is_needed = folder.is_some() || STOPPED.lock().is_ok_and(|all| !all.is_empty());
        let key = match is_needed && !has_hooks {
            true => Some(key(collector)?),
            false => None,
        };
        let file = key.as_ref().map(|key| format!("{key}.safetensors"));
        let mut progress = Self {
            path: folder.zip(file).map(|(folder, file)| folder.join(file)),
            key,
            has_hooks,
            total,
            at: At::default(),
            is_inside: false,
            written: At::default(),
            every: storage.every,
            last: Instant::now(),
            cost: Duration::ZERO,
        };
        progress.read_disk(collector);
        progress.read_memory(collector);
        Ok(progress)
    }

    fn read_disk(&mut self, collector: &mut impl Collector) {
        let Some(path) = &self.path else {
            return;
        };
        let restored = Record::load(path).and_then(|record| match record {
            Some(record) => Ok(Some(self.restore(&record, collector)?)),
            None => Ok(None),
        });
        match restored {
            Ok(at) => {
                self.at = at.unwrap_or_default();
                self.written = self.at;
            }
            Err(error) => eprintln!(
                "{} is damaged ({error}): the sweep starts again from the beginning.",
                path.display()
            ),
        }
    }

    fn read_memory(&mut self, collector: &mut impl Collector) {
        let Ok(mut all) = STOPPED.lock() else {
            return;
        };
        let is_ours = |stopped: &Stopped| Some(&stopped.key) == self.key.as_ref();
        if let Some(at) = all.iter().position(is_ours)
            && let stopped = all.remove(at)
            && stopped.at > self.at
            && self.restore(&stopped.record, collector).is_ok()
        {
            self.at = stopped.at;
        }
    }

    /// How far a record is.
    fn restore(&self, record: &Record, collector: &mut impl Collector) -> Result<At> {
        let number = |name: &str| {
            record
                .notes
                .get(name)
                .and_then(|number| number.parse().ok())
        };
        match (number(BATCHES), number(BLOCKS)) {
            (Some(batches), Some(blocks)) if batches <= self.total => {
                collector.restore(record)?;
                Ok(At { batches, blocks })
            }
            _ => Err(Error::new("it does not say how far the sweep was")),
        }
    }

    /// The collector is about to see parts of a block.
    pub(super) fn begin_block(&mut self) {
        self.is_inside = true;
    }

    /// The collector has seen the whole block.
    pub(super) fn end_block(&mut self) {
        self.is_inside = false;
        self.at.blocks += 1;
    }

    /// One batch more is done; what there is is written where it is time.
    ///
    /// # Errors
    /// The disk is full, or the folder not to be written to; the walk goes on when it is asked again.
    pub(super) fn advance(&mut self, collector: &impl Collector) -> Result<()> {
        self.at = At {
            batches: self.at.batches + 1,
            blocks: 0,
        };
        let is_time = match self.every {
            Some(batches) => self.at.batches - self.written.batches >= batches,
            None => self.last.elapsed() >= PAUSE.max(SHARE * self.cost),
        };
        match is_time && self.at.batches < self.total {
            true => self.write(collector),
            false => Ok(()),
        }
    }

    /// Writes the result.
    ///
    /// # Errors
    /// As [`Progress::advance`].
    pub(super) fn finish(&mut self, collector: &impl Collector) -> Result<()> {
        self.write(collector)
    }

    /// Keeps what there is, as the walk is about to be left; what was kept before, where it is left inside a block.
    pub(super) fn pause<C: Collector>(
        &mut self,
        collector: &C,
        key: impl FnOnce(&C) -> Result<String>,
    ) {
        if self.is_inside {
            return;
        }
        if self.key.is_none() && !self.has_hooks {
            self.key = key(collector).ok();
        }
        let on_disk = self.path.is_some() && self.write(collector).is_ok();
        if !on_disk {
            self.remember(collector);
        }
    }

    fn write(&mut self, collector: &impl Collector) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if self.written == self.at {
            return Ok(());
        }
        let started = Instant::now();
        if let Err(error) = self.record(collector).save(path) {
            self.remember(collector);
            return Err(error.context(format!(
                "the sweep stopped after {} of {} batches, and goes on from there when it is run again",
                self.at.batches, self.total
            )));
        }
        self.written = self.at;
        self.last = Instant::now();
        self.cost = started.elapsed();
        Ok(())
    }

    fn record(&self, collector: &impl Collector) -> Record {
        let mut record = collector.record();
        let At { batches, blocks } = self.at;
        record.notes.insert(BATCHES.to_owned(), batches.to_string());
        record.notes.insert(BLOCKS.to_owned(), blocks.to_string());
        record
    }

    fn remember(&self, collector: &impl Collector) {
        if let (Some(key), Ok(mut all)) = (&self.key, STOPPED.lock())
            && self.at > At::default()
        {
            all.retain(|stopped| stopped.key != *key);
            if all.len() >= MOST_STOPPED {
                all.remove(0);
            }
            all.push(Stopped {
                key: key.clone(),
                at: self.at,
                record: self.record(collector),
            });
        }
    }
}
