//! The presets are what their names and tables say.

use super::*;
use crate::testing::{at, books, millis, packet};
use crate::{Direction, Instant, Link};

#[test]
fn names_lead_to_presets_and_back() {
    for preset in Preset::ALL {
        assert_eq!(Preset::named(preset.name()), Some(preset));
    }
    assert_eq!((Preset::named("ltE"), Preset::ALL.len()), (None, 8));
}

/// Goodput and loss of a minute at `share` hundredths of the nominal rate, and the least delay.
fn run(preset: Preset, direction: Direction, share: u64) -> (f64, f64, Duration) {
    let [down, up] = preset.rates();
    let nominal = if direction == Direction::Up { up } else { down };
    let mut link = Link::new(&preset.config(3), 3);
    let gap = 1500 * 1_000_000_000 / nominal * 100 / share;
    let mut least = Duration::MAX;
    for n in 0.. {
        let now = at(n * gap);
        if now > Instant::ZERO + Duration::from_secs(60) {
            break;
        }
        if let Some(delivery) = link.offer(now, direction, packet(1500)).delivery() {
            least = least.min(delivery.at - now);
        }
    }
    let counters = if direction == Direction::Down { books(&link) } else { link.counters(direction) };
    let rate = counters.delivered_bytes as f64 / 60.0 / nominal as f64;
    (rate, counters.dropped_total() as f64 / counters.offered as f64, least)
}

#[test]
fn each_carries_its_rate_with_its_delay_and_hardly_any_loss_at_half_load() {
    for preset in Preset::ALL {
        for direction in Direction::BOTH {
            let (rate, loss, least) = run(preset, direction, 50);
            assert!((0.47..0.51).contains(&rate), "{preset:?} {direction:?} {rate}");
            assert!(loss < 0.05, "{preset:?} {direction:?} {loss}");
            let base = preset.steady().down.delay;
            assert!(least >= base && least < base + millis(15), "{preset:?} {direction:?} {least:?}");
        }
    }
}

#[test]
fn each_is_full_at_double_load() {
    for preset in Preset::ALL {
        let (rate, loss, _) = run(preset, Direction::Down, 200);
        // A minute of a link that wanders may be well above or below its average.
        let wanders = matches!(preset, Preset::Lte | Preset::FiveG | Preset::Leo);
        let expected = if wanders { 0.6..1.5 } else { 0.998..1.006 };
        assert!(expected.contains(&rate), "{preset:?} {rate}");
        assert!(loss > 0.2, "{preset:?} {loss}");
    }
}

#[test]
fn round_trips_are_those_of_the_table() {
    let trips = Preset::ALL.map(|preset| {
        let link = preset.steady();
        (link.up.delay + link.down.delay).as_millis()
    });
    assert_eq!(trips, [10, 20, 18, 6, 40, 24, 30, 600]);
}

#[test]
fn seeds_vary_only_links_that_vary() {
    for preset in Preset::ALL {
        let varies = matches!(preset, Preset::Lte | Preset::FiveG | Preset::Leo);
        assert_eq!(preset.config(1) != preset.config(2), varies, "{preset:?}");
        assert_eq!(preset.config(1) != preset.steady(), varies, "{preset:?}");
    }
    assert_eq!(WIFI_BURSTS.long_run_ppm(), 499);
}
