//! Order statistics and the ratios that bonding is judged by.
//!
//! Values that are not finite are left out before anything is computed, so that a run that never finished cannot
//! poison a median; what is left out is counted in [`Summary::left_out`]. Decides no bar.

use serde::Serialize;

#[cfg(test)]
mod tests;

/// The value below which a share `q` (0 to 1) of `values` lies, interpolated linearly between neighbours
/// (the definition of Hyndman and Fan, 1996, type 7). `None` if no value is finite.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    quantile_sorted(&sorted(values), q)
}

/// [`quantile`] at one half.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The finite ones of `values`, in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    finite
}

fn quantile_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = if q.is_nan() { 0.5 } else { q.clamp(0.0, 1.0) } * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

/// What is said of a set of runs in one line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many finite values there were.
    pub count: usize,
    /// How many were not finite.
    pub left_out: usize,
    /// The middle one.
    pub median: f64,
    /// One in ten is lower.
    pub p10: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// Of these values; `None` if none is finite.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        Some(Self {
            count: sorted.len(),
            left_out: values.len() - sorted.len(),
            median: quantile_sorted(&sorted, 0.5)?,
            p10: quantile_sorted(&sorted, 0.1)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }
}

/// Fairness among shares: 1 if all are equal, 1/n if one has all (Jain, Chiu, Hawe, DEC-TR-301, 1984).
/// `None` without shares, with a share that is negative or not finite, or if all are zero.
pub fn jain(shares: &[f64]) -> Option<f64> {
    if shares.iter().any(|share| !share.is_finite() || *share < 0.0) {
        return None;
    }
    let most = shares.iter().copied().fold(0.0, f64::max);
    // Shares of the largest, so that squares neither overflow nor vanish.
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| {
        let share = share / most;
        (sum + share, squares + share * share)
    });
    (most > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// How goodput on several links compares with each of them alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// Aggregation benefit after Paasch, Khalili and Bonaventure, On the Benefits of Applying Experimental Design
    /// to Improve Multipath TCP, CoNEXT 2013: with M the best link alone, (G − M)/(ΣC − M) if G ≥ M, else
    /// (G − M)/M. 0 is the best link alone, 1 the sum, −1 nothing. `None` with a single link, where both coincide.
    pub benefit: Option<f64>,
    /// Goodput divided by the sum of what the links do alone.
    pub efficiency: f64,
    /// Goodput divided by what the best link does alone.
    pub ratio_to_best: f64,
}

impl Gain {
    /// Of goodput `together` over goodputs `alone`, in one unit. `None` without links, if the best link does
    /// nothing, or if a value is negative or not finite.
    pub fn of(alone: &[f64], together: f64) -> Option<Self> {
        let fine = |value: f64| value.is_finite() && value >= 0.0;
        let best = alone.iter().copied().fold(0.0, f64::max);
        if !fine(together) || !alone.iter().copied().all(fine) || best <= 0.0 {
            return None;
        }
        let sum: f64 = alone.iter().sum();
        let benefit = match together {
            g if g < best => Some((g - best) / best),
            g if sum > best => Some((g - best) / (sum - best)),
            _ => None,
        };
        Some(Self {
            benefit: benefit.filter(|_| alone.len() > 1),
            efficiency: together / sum,
            ratio_to_best: together / best,
        })
    }

    /// Whether the benefit says something: it is ill-conditioned where the weakest link adds less than 5 % of the
    /// best.
    pub fn is_telling(alone: &[f64]) -> bool {
        let best = alone.iter().copied().fold(0.0, f64::max);
        alone.len() > 1 && best > 0.0 && alone.iter().all(|value| *value >= 0.05 * best)
    }
}
