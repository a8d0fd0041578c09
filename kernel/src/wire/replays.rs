//! Signatures that have been seen: a message that comes a second time is somebody's who has none of
//! his own.

use super::message::Malformed;
use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

/// How many are remembered, as Jupyter's own library does.
const REMEMBERED: usize = 1 << 16;

/// The signatures of one kernel's messages.
#[derive(Debug, Default)]
pub(super) struct Replays {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<Vec<u8>>,
    /// The oldest first.
    order: VecDeque<Vec<u8>>,
}

impl Replays {
    /// Remembers a signature. A connection without a key has none.
    ///
    /// # Errors
    /// It was seen before.
    pub(super) fn note(&self, signature: Option<Vec<u8>>) -> Result<(), Malformed> {
        let Some(signature) = signature.filter(|signature| !signature.is_empty()) else {
            return Ok(());
        };
        let mut seen = self.seen.lock().unwrap_or_else(|bad| bad.into_inner());
        let Seen { known, order } = &mut *seen;
        if !known.insert(signature.clone()) {
            return Err(Malformed::Replayed);
        }
        order.push_back(signature);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_once_and_the_oldest_are_forgotten() {
        let replays = Replays::default();
        assert_eq!(replays.note(Some(b"a".to_vec())), Ok(()));
        assert_eq!(replays.note(Some(b"a".to_vec())), Err(Malformed::Replayed));
        assert_eq!(replays.note(None), Ok(()));
        assert_eq!(
            replays.note(Some(Vec::new())),
            Ok(()),
            "a connection without a key"
        );
        assert_eq!(replays.note(Some(Vec::new())), Ok(()));
        for n in 0..REMEMBERED {
            assert_eq!(replays.note(Some(n.to_le_bytes().to_vec())), Ok(()));
        }
        assert_eq!(replays.note(Some(b"a".to_vec())), Ok(()));
    }
}
