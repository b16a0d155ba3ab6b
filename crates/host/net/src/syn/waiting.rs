//! Things that wait for a connection, at most so many and so long.
//!
//! Decides who goes first when there is no more room or time: the oldest. Keys are what a client chooses, so the map
//! hashes with a secret.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Syn;

#[cfg(test)]
mod tests;

/// A bounded table by connection, oldest first out. Times count from any fixed moment.
#[derive(Debug)]
pub struct Waiting<T> {
    most: usize,
    age: Duration,
    entries: HashMap<Syn, (u64, T)>,
    /// By number of insertion.
    order: BTreeMap<u64, (Duration, Syn)>,
    next: u64,
}

impl<T> Waiting<T> {
    /// Room for `most` entries, each for as long as `age`.
    pub fn new(most: usize, age: Duration) -> Self {
        Self { most, age, entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// Adds one and returns what had to go for it: what was there for the same connection, or the oldest.
    pub fn insert(&mut self, syn: Syn, value: T, now: Duration) -> Option<T> {
        let mut gone = self.take(&syn);
        if gone.is_none() && self.len() >= self.most {
            gone = self.oldest();
        }
        self.entries.insert(syn, (self.next, value));
        self.order.insert(self.next, (now, syn));
        self.next += 1;
        gone
    }

    /// Takes one out.
    pub fn take(&mut self, syn: &Syn) -> Option<T> {
        let (number, value) = self.entries.remove(syn)?;
        self.order.remove(&number);
        Some(value)
    }

    /// What waits for a connection.
    pub fn peek(&mut self, syn: &Syn) -> Option<&mut T> {
        self.entries.get_mut(syn).map(|(_, value)| value)
    }

    /// Takes out one that is too old, if there is any: to be called until there is none.
    pub fn expire(&mut self, now: Duration) -> Option<(Syn, T)> {
        let (_, (since, syn)) = self.order.first_key_value()?;
        if now.saturating_sub(*since) < self.age {
            return None;
        }
        let syn = *syn;
        self.take(&syn).map(|value| (syn, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn oldest(&mut self) -> Option<T> {
        let (_, (_, syn)) = self.order.first_key_value()?;
        let syn = *syn;
        self.take(&syn)
    }
}
