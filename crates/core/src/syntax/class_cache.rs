//! Sets that were worked out once and are asked for again: a class under IGNORECASE costs a pass over the case table.

use crate::codepoints::CodePoints;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// No pattern has more distinct classes than this as a rule; beyond it, the cache starts anew.
const CAPACITY: usize = 512;

/// A bounded map from a description of a class to its set.
#[derive(Debug)]
pub struct ClassCache<K> {
    map: Mutex<HashMap<K, Arc<CodePoints>>>,
}

impl<K> Default for ClassCache<K> {
    fn default() -> Self {
        ClassCache { map: Mutex::new(HashMap::new()) }
    }
}

impl<K: Hash + Eq> ClassCache<K> {
    /// The set of `key`, made by `make` if it is not there. The lock is not held while it is made.
    pub fn get_or_make<E>(&self, key: K, make: impl FnOnce(&K) -> Result<CodePoints, E>) -> Result<Arc<CodePoints>, E> {
        if let Some(found) = self.map.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let made = Arc::new(make(&key)?);
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= CAPACITY {
            map.clear();
        }
        map.insert(key, made.clone());
        Ok(made)
    }
}
