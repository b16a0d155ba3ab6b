use super::*;
use crate::testing::{bulk, path};
use crate::{Class, Demand};

#[test]
fn a_default_path_may_not_be_used() {
    assert_eq!(PathView::default().tier(), None);
    assert!(!PathView::default().fits(&bulk(1)));
}

#[test]
fn room_is_window_address_socket_and_size() {
    let good = path(0, 20, 1_000_000);
    assert!(good.fits(&bulk(1)));
    let bad = [
        PathView { in_flight: good.cwnd - 1399, ..good },
        PathView { amplification_room: 1399, ..good },
        PathView { blocked: true, ..good },
        PathView { reserve: good.cwnd, ..good },
    ];
    for view in bad {
        assert!(!view.fits(&bulk(1)), "{view:?}");
    }
    let urgent = Demand { class: Class::Interactive, ..bulk(1) };
    assert!(bad[3].fits(&urgent), "what bulk leaves free is theirs");
    assert!(!good.fits(&Demand { packet: 1401, ..bulk(1) }));
    assert!(bad[0].fits(&Demand { packet: 1399, ..bulk(1) }));
}

#[test]
fn a_burst_is_a_millisecond_within_bounds() {
    assert_eq!(path(0, 20, 6_250_000).burst(), 6250);
    assert_eq!(path(0, 20, 1000).burst(), 1400);
    assert_eq!(path(0, 20, u64::MAX).burst(), 65_536);
}

#[test]
fn the_rate_falls_back_to_the_window() {
    let view = path(0, 20, 5);
    assert_eq!(view.rate(), 5);
    let stale = PathView { capacity_state: CapacityState::Stale, ..view };
    assert_eq!(stale.rate(), 7_000_000);
    assert_eq!(PathView { srtt: 0, ..stale }.rate(), 0);
}
