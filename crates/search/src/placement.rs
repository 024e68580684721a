//! Which video of several copies is kept, and under which video an excerpt stands.

use std::collections::BTreeSet;

use crate::relation::Relation;

/// Two videos that were compared. Videos are places in the order of what to keep: 0 is the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComparedPair {
    /// One video.
    pub a: usize,
    /// Another one.
    pub b: usize,
    /// Relation of the first to the second.
    pub relation: Relation,
    /// Score of the pair, in [0, 1].
    pub score: f32,
}

impl ComparedPair {
    /// Whether it makes a group or an excerpt.
    #[must_use]
    pub fn counts(&self, min_score: f32) -> bool {
        self.relation.is_claim() && self.score >= min_score
    }
}

/// A video that is kept, and its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// The video to keep.
    pub keep: usize,
    /// Its copies, the best one first; at least one.
    pub copies: Vec<usize>,
}

/// A video that is an excerpt of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExcerptOf {
    /// The excerpt.
    pub excerpt: usize,
    /// The video that holds it.
    pub of: usize,
}

/// Where each video belongs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Groups, in the order in which their videos to keep were chosen.
    pub groups: Vec<Copies>,
    /// Excerpts, each once, the best one first.
    pub excerpts: Vec<ExcerptOf>,
}

/// Places `n` videos by the pairs that are claims and score at least `min_score`.
///
/// The video to keep is the best one that is not placed yet and not an excerpt of a video that is not
/// placed yet; its group are the copies of it that are not placed yet. So a member is a copy of the
/// video that is kept, not of another member. Every excerpt stands under one video that holds it: one
/// that is not itself a copy that may go, then one that is not itself an excerpt, then the one with
/// the higher score. Time and memory grow with the number of pairs.
#[must_use]
pub fn place(n: usize, pairs: &[ComparedPair], min_score: f32) -> Placement {
    let mut copies: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut excerpts: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut holders: Vec<Vec<(usize, f32)>> = vec![Vec::new(); n];
    for pair in pairs.iter().filter(|pair| pair.counts(min_score)) {
        let (excerpt, of) = match pair.relation {
            Relation::Excerpt => (pair.a, pair.b),
            Relation::Contains => (pair.b, pair.a),
            _ => {
                copies[pair.a].push(pair.b);
                copies[pair.b].push(pair.a);
                continue;
            }
        };
        excerpts[of].push(excerpt);
        holders[excerpt].push((of, pair.score));
    }

    // Of each video how many of those that hold it are not placed yet.
    let mut waiting: Vec<usize> = holders.iter().map(Vec::len).collect();
    let mut unplaced: BTreeSet<(bool, usize)> = (0..n).map(|video| (waiting[video] > 0, video)).collect();
    let mut goes = vec![false; n];
    let mut groups = Vec::new();
    // Where excerpts hold each other in a circle, all of them wait, and the best one is the next.
    while let Some((_, keep)) = unplaced.pop_first() {
        copies[keep].sort_unstable();
        let mut members = Vec::new();
        for &copy in &copies[keep] {
            if unplaced.remove(&(waiting[copy] > 0, copy)) {
                goes[copy] = true;
                members.push(copy);
            }
        }
        for &excerpt in std::iter::once(&keep).chain(&members).flat_map(|&placed| &excerpts[placed]) {
            waiting[excerpt] -= 1;
            if waiting[excerpt] == 0 && unplaced.remove(&(true, excerpt)) {
                unplaced.insert((false, excerpt));
            }
        }
        if !members.is_empty() {
            groups.push(Copies { keep, copies: members });
        }
    }

    let is_excerpt = |video: usize| !holders[video].is_empty();
    let best = |excerpt: usize| {
        let of = holders[excerpt].iter().min_by(|(a, a_score), (b, b_score)| {
            let key = |video: usize| (goes[video], is_excerpt(video));
            key(*a).cmp(&key(*b)).then(b_score.total_cmp(a_score)).then(a.cmp(b))
        });
        of.map(|&(of, _)| ExcerptOf { excerpt, of })
    };
    Placement { groups, excerpts: (0..n).filter_map(best).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs that score 0.95.
    fn pairs(of: &[(usize, usize, Relation)]) -> Vec<ComparedPair> {
        of.iter().map(|&(a, b, relation)| ComparedPair { a, b, relation, score: 0.95 }).collect()
    }

    /// Groups as (kept, copies), excerpts as (excerpt, of).
    type Placed = (Vec<(usize, Vec<usize>)>, Vec<(usize, usize)>);

    fn placed(n: usize, pairs: &[ComparedPair]) -> Placed {
        let placement = place(n, pairs, 0.9);
        (
            placement.groups.into_iter().map(|group| (group.keep, group.copies)).collect(),
            placement.excerpts.into_iter().map(|e| (e.excerpt, e.of)).collect(),
        )
    }

    use Relation::{Contains, Copy, Different, Excerpt, SameScene, SharesPart};

    #[test]
    fn copies_of_a_copy_are_no_members() {
        // 0 and 2 are copies of 1, not of each other: the best one has 1, and 2 is left alone.
        assert_eq!(placed(3, &pairs(&[(0, 1, Copy), (1, 2, Copy)])), (vec![(0, vec![1])], vec![]));
        // The one in the middle is the best: both are copies of it.
        assert_eq!(placed(3, &pairs(&[(1, 0, Copy), (0, 2, Copy)])), (vec![(0, vec![1, 2])], vec![]));
        // A chain of five makes two pairs and a video that stays.
        let chain = pairs(&[(0, 1, Copy), (1, 2, Copy), (2, 3, Copy), (3, 4, Copy)]);
        assert_eq!(placed(5, &chain).0, [(0, vec![1]), (2, vec![3])]);
    }

    #[test]
    fn only_copies_with_the_score_are_grouped() {
        let of = |relation, score| placed(2, &[ComparedPair { a: 0, b: 1, relation, score }]);
        for relation in [SharesPart, SameScene, Different] {
            assert_eq!(of(relation, 1.0), (vec![], vec![]), "{relation}");
        }
        assert_eq!(of(Copy, 0.9).0, [(0, vec![1])]);
        assert_eq!(of(Copy, 0.899), (vec![], vec![]));
        assert_eq!(of(Copy, f32::NAN), (vec![], vec![]));
        assert_eq!(of(Excerpt, 0.9).1, [(0, 1)]);
        assert_eq!(of(Contains, 0.9).1, [(1, 0)]);
        assert_eq!(of(Contains, 0.899), (vec![], vec![]));
        assert_eq!(placed(0, &[]), (vec![], vec![]));
    }

    #[test]
    fn an_excerpt_is_not_kept_above_the_whole() {
        // The excerpt 0 has the largest picture. 1 is whole, 2 a copy of both.
        let all = pairs(&[(0, 1, Excerpt), (0, 2, Copy), (1, 2, Copy)]);
        assert_eq!(placed(3, &all), (vec![(1, vec![2])], vec![(0, 1)]));
        // The excerpt has a copy of its own, which may go; both stand under the whole.
        let all = pairs(&[(0, 2, Excerpt), (2, 1, Contains), (1, 0, Copy)]);
        assert_eq!(placed(3, &all), (vec![(0, vec![1])], vec![(0, 2), (1, 2)]));
        // 1 was not recognised as an excerpt: it is kept, since 0 waits for the whole.
        let all = pairs(&[(0, 2, Excerpt), (1, 0, Copy)]);
        assert_eq!(placed(3, &all), (vec![(1, vec![0])], vec![(0, 2)]));
    }

    #[test]
    fn excerpts_of_excerpts_stand_under_the_whole() {
        assert_eq!(placed(3, &pairs(&[(0, 1, Excerpt), (0, 2, Excerpt), (1, 2, Excerpt)])).1, [(0, 2), (1, 2)]);
        // What is only known of the excerpt in between is listed under that.
        assert_eq!(placed(3, &pairs(&[(0, 1, Excerpt), (1, 2, Excerpt)])).1, [(0, 1), (1, 2)]);
        // The whole that is kept, not its copy, though the copy scores more.
        let mut all = pairs(&[(1, 2, Copy), (0, 1, Excerpt), (0, 2, Excerpt)]);
        all[2].score = 0.99;
        assert_eq!(placed(3, &all), (vec![(1, vec![2])], vec![(0, 1)]));
        // Of two films the one with the higher score, and of equal ones the better file.
        let mut two = pairs(&[(0, 1, Excerpt), (0, 2, Excerpt)]);
        assert_eq!(placed(3, &two).1, [(0, 1)]);
        two[1].score = 0.96;
        assert_eq!(placed(3, &two).1, [(0, 2)]);
    }

    #[test]
    fn excerpts_in_a_circle_are_placed() {
        let circle = pairs(&[(0, 1, Excerpt), (1, 2, Excerpt), (2, 0, Excerpt), (2, 3, Copy)]);
        assert_eq!(placed(4, &circle), (vec![(3, vec![2])], vec![(0, 1), (1, 2), (2, 0)]));
        let circle = pairs(&[(0, 1, Excerpt), (1, 2, Excerpt), (2, 0, Excerpt)]);
        assert_eq!(placed(3, &circle), (vec![], vec![(0, 1), (1, 2), (2, 0)]));
    }

    #[test]
    fn the_order_of_pairs_does_not_matter() {
        let forwards = pairs(&[(0, 1, Copy), (1, 2, Copy), (3, 1, Excerpt), (3, 0, Excerpt), (4, 3, Copy)]);
        let backwards: Vec<_> = forwards.iter().rev().copied().collect();
        assert_eq!(place(5, &forwards, 0.9), place(5, &backwards, 0.9));
    }

    /// Some of the pairs of a few videos, with any relation; many have the same score.
    fn compared() -> impl Strategy<Value = (usize, Vec<ComparedPair>)> {
        (1usize..14).prop_flat_map(|n| {
            let of_pair = (0usize..8, prop::sample::select(vec![0.0f32, 0.5, 0.9, 0.9, 1.0]), any::<bool>());
            prop::collection::vec(of_pair, n * (n - 1) / 2).prop_map(move |chosen| {
                let places = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b)));
                let of = places.zip(chosen).filter_map(|((a, b), (relation, score, turned))| {
                    let relation = *Relation::ALL.get(relation)?;
                    let (a, b) = if turned { (b, a) } else { (a, b) };
                    Some(ComparedPair { a, b, relation, score })
                });
                (n, of.collect())
            })
        })
    }

    proptest! {
        #[test]
        fn members_are_copies_of_the_one_that_is_kept((n, pairs) in compared()) {
            let of = |a: usize, b: usize| {
                let found = pairs.iter().find(|p| (p.a, p.b) == (a, b) || (p.b, p.a) == (a, b))?;
                let relation = if found.a == a { found.relation } else { found.relation.reversed() };
                found.counts(0.9).then_some((relation, found.score))
            };
            let placement = place(n, &pairs, 0.9);
            let mut seen = vec![0; n];
            for group in &placement.groups {
                prop_assert!(!group.copies.is_empty() && group.copies.is_sorted());
                for &copy in &group.copies {
                    prop_assert!(of(group.keep, copy).is_some_and(|(relation, _)| relation == Copy));
                    // One that would have been the better choice waits for a whole.
                    prop_assert!(group.keep < copy || (0..n).any(|w| of(copy, w).is_some_and(|(r, _)| r == Excerpt)));
                }
                for &video in group.copies.iter().chain([&group.keep]) {
                    seen[video] += 1;
                }
            }
            prop_assert!(seen.iter().all(|&times| times <= 1), "a video is in two groups: {seen:?}");
            // No two videos that stay are copies: a copy of one that stays is in a group.
            let goes = |video: usize| placement.groups.iter().any(|g| g.copies.contains(&video));
            for a in 0..n {
                for b in a + 1..n {
                    let both = !goes(a) && !goes(b);
                    prop_assert!(!both || of(a, b).is_none_or(|(relation, _)| relation != Copy), "{a} {b}");
                }
            }
            for video in 0..n {
                let holders: Vec<usize> =
                    (0..n).filter(|&w| w != video && of(video, w).is_some_and(|(r, _)| r == Excerpt)).collect();
                let under: Vec<usize> =
                    placement.excerpts.iter().filter(|e| e.excerpt == video).map(|e| e.of).collect();
                prop_assert_eq!(under.len(), usize::from(!holders.is_empty()));
                prop_assert!(under.iter().all(|of| holders.contains(of)));
                // Under one that stays, if there is one.
                let stays = holders.iter().any(|&w| !goes(w));
                prop_assert!(under.iter().all(|&w| !stays || !goes(w)));
            }
        }
    }
}
