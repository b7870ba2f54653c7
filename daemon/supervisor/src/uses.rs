//! Who works with a model's files because somebody asked for it: they are not removed meanwhile. Pure but for the lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SupervisorError;
use crate::error::taken;

/// What is done with a model's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Files are made of them.
    Prepare,
    /// They are read for whoever asked.
    Export,
    /// They have arrived, and are checked and inspected.
    Import,
    /// They are taken away.
    Remove,
}

impl Use {
    /// Whether another may go on beside it.
    fn allows(self, other: Self) -> bool {
        let shares = |it| matches!(it, Self::Prepare | Self::Export);
        shares(self) && shares(other)
    }

    /// What keeps others away, and what to do; follows the model's name.
    const fn words(self) -> &'static str {
        match self {
            Self::Prepare => {
                "is being prepared; try again when that is done (`mains prepare` with the same options waits for it)"
            }
            Self::Export => "is being exported; try again when that is done, or break the export off",
            Self::Import => "is being imported, its files are checked now; try again when that is done",
            Self::Remove => "is being removed; try again in a moment",
        }
    }
}

type Running = Arc<Mutex<HashMap<String, Vec<Use>>>>;

/// What is done with models' files now, by the models' names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses(Running);

/// One use. It is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Using {
    running: Running,
    model: String,
    what: Use,
}

impl Uses {
    /// Begins `what` with the files of `model`.
    ///
    /// # Errors
    /// [`mains_store::StoreError::Taken`] says what keeps it from that, and what to do.
    pub(crate) fn begin(&self, model: &str, what: Use) -> Result<Using, SupervisorError> {
        let mut running = lock(&self.0);
        let others = running.get(model).map_or(&[][..], Vec::as_slice);
        if let Some(other) = others.iter().find(|other| !other.allows(what)) {
            return Err(taken(model, other.words()));
        }
        running.entry(model.to_owned()).or_default().push(what);
        Ok(Using {
            running: Arc::clone(&self.0),
            model: model.to_owned(),
            what,
        })
    }

    /// Whether `model` is about to go, so that nothing is made of it any more.
    pub(crate) fn is_removed(&self, model: &str) -> bool {
        lock(&self.0)
            .get(model)
            .is_some_and(|uses| uses.contains(&Use::Remove))
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        let Some(uses) = running.get_mut(&self.model) else {
            return;
        };
        if let Some(at) = uses.iter().position(|what| *what == self.what) {
            uses.swap_remove(at);
        }
        if uses.is_empty() {
            running.remove(&self.model);
        }
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<String, Vec<Use>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Use, Uses};

    #[test]
    fn work_shares_a_model_and_its_coming_and_going_do_not() {
        let uses = Uses::default();
        let all = [Use::Prepare, Use::Export, Use::Import, Use::Remove];
        for one in all {
            for other in all {
                let first = uses.begin("m", one).unwrap();
                let second = uses.begin("m", other);
                let shares = |it| it == Use::Prepare || it == Use::Export;
                assert_eq!(
                    second.is_ok(),
                    shares(one) && shares(other),
                    "{one:?} and {other:?}"
                );
                if let Err(error) = second {
                    assert!(error.to_string().starts_with("m is being "), "{error}");
                }
                let _elsewhere = uses.begin("n", other).unwrap();
                drop(first);
            }
        }
        assert!(uses.0.lock().unwrap().is_empty(), "what is over leaves nothing");
    }

    #[test]
    fn a_model_is_removed_until_its_removal_ends() {
        let uses = Uses::default();
        let removal = uses.begin("m", Use::Remove).unwrap();
        assert!(uses.is_removed("m") && !uses.is_removed("n"));
        drop(removal);
        assert!(!uses.is_removed("m"));
    }
}
