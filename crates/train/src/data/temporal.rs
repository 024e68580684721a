//! Temporal augmentation of §7.2: which frames of a video a training pair uses.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

/// Longest video that is doubled by repeating frames.
const DOUBLED: usize = 150;
/// Videos of at most this many frames are left as they are.
const SHORT: usize = 8;

/// Frame positions after the augmentation of §7.2, for positives and negatives: windows dropped or shuffled, every second
/// frame, every frame twice, reversed, each one time in ten or so; videos of up to eight frames stay.
#[must_use]
pub fn augment(frames: usize, rng: &mut Pcg64) -> Vec<usize> {
    let all: Vec<usize> = (0..frames).collect();
    if frames <= SHORT {
        return all;
    }
    let u: f64 = rng.random();
    if u < 0.2 {
        let window = rng.random_range(4..16usize);
        let padded = frames.next_multiple_of(window);
        let wrapped: Vec<usize> = (0..padded).map(|i| i % frames).collect();
        let mut windows: Vec<&[usize]> = wrapped.chunks(window).collect();
        if u < 0.1 {
            let kept: Vec<&[usize]> = windows.iter().copied().filter(|_| rng.random::<f64>() < 0.7).collect();
            if !kept.is_empty() {
                windows = kept;
            }
        } else {
            windows.shuffle(rng);
        }
        windows.concat()
    } else if u < 0.3 {
        all.into_iter().step_by(2).collect()
    } else if u < 0.4 {
        if frames < DOUBLED { all.into_iter().flat_map(|i| [i, i]).collect() } else { all }
    } else if u < 0.5 {
        all.into_iter().rev().collect()
    } else {
        all
    }
}

/// A window of at most `limit` frames at a random place.
#[must_use]
pub fn crop(mut positions: Vec<usize>, limit: usize, rng: &mut Pcg64) -> Vec<usize> {
    if positions.len() > limit {
        let start = rng.random_range(0..=positions.len() - limit);
        positions.drain(..start);
        positions.truncate(limit);
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn every_kind_occurs_and_stays_inside() {
        let mut rng = Pcg64::seed_from_u64(1);
        assert_eq!(augment(8, &mut rng), (0..8).collect::<Vec<_>>());
        let (mut same, mut reversed, mut halved, mut doubled, mut other) = (0, 0, 0, 0, 0);
        for _ in 0..1000 {
            let p = augment(20, &mut rng);
            assert!(!p.is_empty() && p.iter().all(|&i| i < 20));
            match p.as_slice() {
                p if p == (0..20).collect::<Vec<_>>() => same += 1,
                p if p == (0..20).rev().collect::<Vec<_>>() => reversed += 1,
                p if p == (0..20).step_by(2).collect::<Vec<_>>() => halved += 1,
                p if p.len() == 40 && p[0] == p[1] => doubled += 1,
                _ => other += 1,
            }
        }
        for (count, share) in [(same, 500), (reversed, 100), (halved, 100), (doubled, 100), (other, 200)] {
            assert!(i32::abs(count - share) < 70, "{count} of {share}");
        }
        assert_eq!(crop((0..20).collect(), 5, &mut rng).len(), 5);
        assert_eq!(crop((0..3).collect(), 5, &mut rng), [0, 1, 2]);
    }
}
