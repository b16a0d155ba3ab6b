//! Points that fill a unit cube evenly.
//!
//! The WSP algorithm (Santiago, Claeys-Bruno, Sergent, Construction of space-filling designs using WSP algorithm
//! for high dimensional spaces, Chemometrics and Intelligent Laboratory Systems 113, 2012): of many random
//! candidates keep one, drop all nearer to it than d, go on from the nearest left. d is found by bisection so that
//! as many points as wanted remain. Decides places between 0 and 1, not what they mean.

use anyhow::{Result, ensure};

/// The most points of one design; the work grows with the square.
pub const MOST_POINTS: usize = 1000;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// How many points, 1 to [`MOST_POINTS`].
    pub count: usize,
    /// Of how many coordinates, 1 to 32.
    pub dimensions: usize,
    /// The same seed gives the same points on every machine.
    pub seed: u64,
}

/// SplitMix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): small, fast, and
/// any seed will do.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// A stream of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `end`; 0 if that is 0. The bias of the remainder is below end / 2^64.
    pub const fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// Puts `items` in an order of its own (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Evenly spread points, each of `dimensions` coordinates from 0 to below 1.
///
/// # Errors
/// If a number of the design is out of its range.
pub fn fill(design: Design) -> Result<Vec<Vec<f64>>> {
    let Design { count, dimensions, seed } = design;
    ensure!((1..=MOST_POINTS).contains(&count), "a design has 1 to {MOST_POINTS} points, not {count}");
    ensure!((1..=32).contains(&dimensions), "a design has 1 to 32 dimensions, not {dimensions}");
    let candidates = random(Design { count: (count * 20).clamp(200, 10_000), dimensions, seed });
    let (mut low, mut high) = (0.0, (dimensions as f64).sqrt());
    let mut best: Vec<usize> = (0..count).collect();
    for _ in 0..16 {
        let distance = f64::midpoint(low, high);
        let kept = keep_apart(&candidates, distance, count);
        if kept.len() < count {
            high = distance;
        } else {
            low = distance;
            best = kept;
        }
    }
    Ok(best.into_iter().map(|at| candidates[at].clone()).collect())
}

/// Points drawn at random, to compare with.
pub fn random(design: Design) -> Vec<Vec<f64>> {
    let mut rng = SplitMix::new(design.seed);
    (0..design.count).map(|_| (0..design.dimensions).map(|_| rng.unit()).collect()).collect()
}

/// The distance of the two points nearest to each other; infinite for fewer than two.
pub fn least_distance(points: &[Vec<f64>]) -> f64 {
    let mut least = f64::INFINITY;
    for (at, a) in points.iter().enumerate() {
        least = points[at + 1..].iter().map(|b| square(a, b)).fold(least, f64::min);
    }
    least.sqrt()
}

/// Indices of candidates no two of which are nearer than `distance`, at most `enough`.
fn keep_apart(candidates: &[Vec<f64>], distance: f64, enough: usize) -> Vec<usize> {
    let least = distance * distance;
    let mut left: Vec<usize> = (1..candidates.len()).collect();
    let mut kept = vec![0];
    while kept.len() < enough {
        let here = &candidates[kept[kept.len() - 1]];
        let mut nearest = (f64::INFINITY, 0);
        left.retain(|at| {
            let apart = square(here, &candidates[*at]);
            if apart >= least && apart < nearest.0 {
                nearest = (apart, *at);
            }
            apart >= least
        });
        if left.is_empty() {
            break;
        }
        left.retain(|at| *at != nearest.1);
        kept.push(nearest.1);
    }
    kept
}

fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
