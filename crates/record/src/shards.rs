//! Which shard of a divided index holds a video.
//!
//! A shard holds the videos whose hash starts with its prefix. One that is full gives half of its videos to a new shard: it keeps
//! those whose next bit is 0, the new one, named by the prefix with a 1, takes those whose next bit is 1. A shard so keeps the name
//! under which it began, and from that name and its depth (how long its prefix has become) follow all shards that it split
//! off. Every answer of a shard names them: there is no directory to be kept, and nothing that is learnt becomes wrong,
//! since shards are never joined.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Bits of the longest prefix.
pub const MAX_DEPTH: usize = 24;
/// The name of the shard that an index begins with.
pub const ROOT: &str = "root";

/// The hash that places a video: the first 32 bits of its id's SHA-256.
#[must_use]
pub fn hash(id: &str) -> u32 {
    let digest = Sha256::digest(id.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Bit `i` of a hash, the first one being bit 0.
#[must_use]
pub const fn bit(hash: u32, i: usize) -> bool {
    i < 32 && hash >> (31 - i) & 1 == 1
}

/// A shard: the prefix under which it began, as `0` and `1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shard(String);

impl Shard {
    /// The shard of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        if name == ROOT {
            return Some(Self::default());
        }
        let known = name.ends_with('1') && name.len() <= MAX_DEPTH && name.bytes().all(|b| matches!(b, b'0' | b'1'));
        known.then(|| Self(name.to_owned()))
    }

    /// Name of the shard: the prefix, or [`ROOT`].
    #[must_use]
    pub fn name(&self) -> &str {
        if self.0.is_empty() { ROOT } else { &self.0 }
    }

    /// Bits of the prefix under which it began: its depth before it split.
    #[must_use]
    pub fn first_depth(&self) -> usize {
        self.0.len()
    }

    /// The shard that it splits off at a depth.
    #[must_use]
    pub fn child(&self, depth: usize) -> Self {
        Self(format!("{:0<depth$}1", self.0))
    }

    /// The shards that it has split off until it has a depth.
    pub fn children(&self, depth: usize) -> impl Iterator<Item = Self> + '_ {
        (self.first_depth()..depth.min(MAX_DEPTH)).map(|d| self.child(d))
    }

    /// Whether it holds the videos of a hash when it has a depth.
    #[must_use]
    pub fn holds(&self, depth: usize, hash: u32) -> bool {
        let begins = self.0.bytes().enumerate().all(|(i, digit)| bit(hash, i) == (digit == b'1'));
        begins && (self.first_depth()..depth).all(|i| !bit(hash, i))
    }
}

/// What is known of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Bits of its prefix.
    pub depth: usize,
    /// Videos that it had when it was last asked.
    pub videos: usize,
}

/// The shards of an index, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    shards: BTreeMap<Shard, Known>,
}

impl Default for Tree {
    /// The root alone.
    fn default() -> Self {
        Self { shards: BTreeMap::from([(Shard::default(), Known::default())]) }
    }
}

impl Tree {
    /// Takes down what a shard told of itself; the shards that were not known before.
    pub fn learn(&mut self, shard: &Shard, depth: usize, videos: usize) -> Vec<Shard> {
        let known = self.shards.entry(shard.clone()).or_default();
        // Answers may come in another order than they were given.
        *known = Known { depth: known.depth.max(depth), videos };
        let fresh: Vec<Shard> = shard.children(depth).filter(|c| !self.shards.contains_key(c)).collect();
        for child in &fresh {
            self.shards.insert(child.clone(), Known { depth: child.first_depth(), videos: 0 });
        }
        fresh
    }

    /// The shard that holds the videos of a hash, as far as is known.
    #[must_use]
    pub fn shard_of(&self, hash: u32) -> Shard {
        let mut shard = Shard::default();
        while let Some(next) = self.step(&shard, hash) {
            shard = next;
        }
        shard
    }

    fn step(&self, shard: &Shard, hash: u32) -> Option<Shard> {
        let depth = self.shards.get(shard)?.depth;
        let first = (shard.first_depth()..depth).find(|&i| bit(hash, i))?;
        Some(shard.child(first))
    }

    /// All shards that are known.
    pub fn shards(&self) -> impl Iterator<Item = (&Shard, Known)> {
        self.shards.iter().map(|(shard, known)| (shard, *known))
    }

    /// What is known of a shard.
    #[must_use]
    pub fn known(&self, shard: &Shard) -> Known {
        self.shards.get(shard).copied().unwrap_or(Known { depth: shard.first_depth(), videos: 0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        let root = Shard::of_name(ROOT).unwrap();
        assert_eq!(root.children(3).map(|c| c.name().to_owned()).collect::<Vec<_>>(), ["1", "01", "001"]);
        let one = Shard::of_name("01").unwrap();
        assert_eq!(one.children(4).map(|c| c.name().to_owned()).collect::<Vec<_>>(), ["011", "0101"]);
        assert_eq!(one.child(2).name(), "011");
        for name in ["", "0", "10", "2", "a1", &"1".repeat(25)] {
            assert_eq!(Shard::of_name(name), None, "{name}");
        }
    }

    proptest! {
        /// Whatever splits, every hash is held by exactly one shard, the tree finds it, and one that knows less is led to it by
        /// what the shards tell.
        #[test]
        fn one_shard_holds_a_hash(splits in proptest::collection::vec(0usize..64, 0..40), hashes in proptest::collection::vec(any::<u32>(), 20)) {
            let mut truth = Tree::default();
            for split in splits {
                let all: Vec<_> = truth.shards().map(|(s, k)| (s.clone(), k)).collect();
                let (shard, known) = &all[split % all.len()];
                if known.depth < MAX_DEPTH {
                    truth.learn(shard, known.depth + 1, 1);
                }
            }
            for hash in hashes {
                let holding: Vec<_> = truth.shards().filter(|(s, k)| s.holds(k.depth, hash)).map(|(s, _)| s.clone()).collect();
                prop_assert_eq!(&holding, &vec![truth.shard_of(hash)]);
                let mut learning = Tree::default();
                for _ in 0..=MAX_DEPTH {
                    let shard = learning.shard_of(hash);
                    let depth = truth.known(&shard).depth;
                    if shard.holds(depth, hash) {
                        break;
                    }
                    learning.learn(&shard, depth, 0);
                }
                prop_assert_eq!(learning.shard_of(hash), truth.shard_of(hash));
            }
        }
    }
}
