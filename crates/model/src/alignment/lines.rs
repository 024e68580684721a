//! The best stretch of every straight line through a map of gains.

/// Speeds of the target against the query that are looked for: seconds of the target a second.
pub(super) const SPEEDS: [f64; 7] = [1.0, 0.5, 0.625, 0.8, 1.25, 1.6, 2.0];

/// What a line of another speed than 1 counts: it is tried six times as often.
const OTHER_SPEED: f32 = 0.93;

/// Most lines of a speed that are looked at.
const KEPT: usize = 64;

/// A stretch of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// The sum of gains, less for a speed other than 1.
    pub(super) sum: f32,
    pub(super) speed: f64,
    /// Bins of the target from a row's place on the speed's own line to this one: `bin = step(row) + shift`.
    pub(super) shift: i64,
    /// First and last row.
    pub(super) rows: [usize; 2],
}

/// Where row `time` is on the line of a speed through the origin, in bins.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn step(speed: f64, time: f64, bin: f64) -> i64 {
    (speed * time / bin).round() as i64
}

/// For each line of a speed its running sum, and the best stretch so far (Kadane's method).
struct Lines {
    speed: f64,
    /// The greatest step of a row: line 0 is as far to the left as any row reaches.
    most: i64,
    running: Vec<f32>,
    started: Vec<u32>,
    best: Vec<f32>,
    from: Vec<u32>,
    to: Vec<u32>,
}

impl Lines {
    fn new(speed: f64, most: i64, bins: usize) -> Self {
        let n = bins + usize::try_from(most).unwrap_or(0);
        Self {
            speed,
            most,
            running: vec![0.0; n],
            started: vec![0; n],
            best: vec![0.0; n],
            from: vec![0; n],
            to: vec![0; n],
        }
    }

    fn add(&mut self, row: u32, step: i64, gains: &[f32]) {
        let first = usize::try_from(self.most - step).unwrap_or(0);
        let lines = first..first + gains.len();
        let running = self.running[lines.clone()].iter_mut().zip(&mut self.started[lines.clone()]);
        let best = self.best[lines.clone()].iter_mut().zip(&mut self.from[lines.clone()]).zip(&mut self.to[lines]);
        for (((running, started), ((best, from), to)), &gain) in running.zip(best).zip(gains) {
            // A stretch whose sum is not above 0 is better begun anew.
            let anew = *running <= 0.0;
            *started = if anew { row } else { *started };
            *running = if anew { gain } else { *running + gain };
            let better = *running > *best;
            *best = if better { *running } else { *best };
            *from = if better { *started } else { *from };
            *to = if better { row } else { *to };
        }
    }

    fn stretches(&self, least: f32) -> Vec<Stretch> {
        let factor = if self.speed == 1.0 { 1.0 } else { OTHER_SPEED };
        let mut found: Vec<Stretch> = (0i64..)
            .zip(&self.best)
            .zip(self.from.iter().zip(&self.to))
            .filter(|((_, best), _)| **best * factor >= least)
            .map(|((line, &best), (&from, &to))| Stretch {
                sum: best * factor,
                speed: self.speed,
                shift: line - self.most,
                rows: [from as usize, to as usize],
            })
            .collect();
        found.sort_by(|a, b| b.sum.total_cmp(&a.sum));
        found.truncate(KEPT);
        found
    }
}

/// The best stretches over all speeds with sums of at least `least`, best first. `rows` yields for each row
/// its time from the first row and fills its gains, one a bin of `bin` seconds.
pub(super) fn stretches(
    times: &[f64],
    bins: usize,
    bin: f64,
    least: f32,
    mut gains: impl FnMut(usize, &mut [f32]),
) -> Vec<Stretch> {
    let last = times.last().copied().unwrap_or(0.0);
    let mut speeds = SPEEDS.map(|speed| Lines::new(speed, step(speed, last, bin), bins));
    let mut row = vec![0f32; bins];
    for (i, &time) in (0u32..).zip(times) {
        gains(i as usize, &mut row);
        for lines in &mut speeds {
            lines.add(i, step(lines.speed, time, bin), &row);
        }
    }
    let mut found: Vec<Stretch> = speeds.iter().flat_map(|lines| lines.stretches(least)).collect();
    found.sort_by(|a, b| b.sum.total_cmp(&a.sum));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every stretch of every line by trying them all.
    fn slow(map: &[Vec<f32>], times: &[f64], bin: f64) -> f32 {
        let mut best = 0f32;
        for speed in SPEEDS {
            let factor = if speed == 1.0 { 1.0 } else { OTHER_SPEED };
            for shift in -40i64..40 {
                for from in 0..map.len() {
                    let mut sum = 0f32;
                    for to in from..map.len() {
                        let bin = step(speed, times[to], bin) + shift;
                        sum += usize::try_from(bin).ok().and_then(|b| map[to].get(b)).copied().unwrap_or(f32::MIN);
                        best = best.max(sum * factor);
                    }
                }
            }
        }
        best
    }

    #[test]
    fn the_best_stretch_is_found() {
        let mut state = 7u32;
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.7
        };
        for (h, w, period) in [(1, 1, 1.0), (6, 9, 1.0), (9, 6, 1.0), (12, 8, 0.25), (8, 12, 2.0)] {
            let times: Vec<f64> = (0..h).map(|i| i as f64 * period).collect();
            let map: Vec<Vec<f32>> = (0..h).map(|_| (0..w).map(|_| number()).collect()).collect();
            let found = stretches(&times, w, 1.0, 1e-6, |i, row| row.copy_from_slice(&map[i]));
            let expected = slow(&map, &times, 1.0);
            let best = found.first().map_or(0.0, |s| s.sum);
            assert!((best - expected).abs() < 1e-5, "{h} x {w}: {best} {expected}");
            for stretch in &found {
                let sum: f32 = (stretch.rows[0]..=stretch.rows[1])
                    .map(|i| map[i][usize::try_from(step(stretch.speed, times[i], 1.0) + stretch.shift).unwrap_or(0)])
                    .sum();
                let factor = if stretch.speed == 1.0 { 1.0 } else { OTHER_SPEED };
                assert!((sum * factor - stretch.sum).abs() < 1e-5, "{stretch:?}");
            }
        }
    }

    #[test]
    fn speeds_and_ends() {
        // Twice as fast from row 3 to 8.
        let times: Vec<f64> = (0..12).map(f64::from).collect();
        let found = stretches(&times, 30, 1.0, 0.1, |i, row| {
            row.fill(-0.5);
            if (3..9).contains(&i) {
                row[2 * i + 5] = 1.0;
            }
        });
        let best = found[0];
        assert_eq!((best.speed, best.rows, best.shift), (2.0, [3, 8], 5));
        assert!(stretches(&[], 5, 1.0, 0.1, |_, _| {}).is_empty());
    }
}
