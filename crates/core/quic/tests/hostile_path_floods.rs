//! Floods of frames about paths that each are allowed (threat 23), and what an application is refused about paths: each
//! has its bound or its error.

mod pair;

use std::net::SocketAddr;

use pair::multi::{
    ack_all, connected, issue, link, open, pair as paths_pair, paths, raw_params, raw_server, speak_on,
    victims_ids,
};
use pair::raw::{Raw, bytes};
use pair::{Pair, SERVER};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::NewConnectionId;
use tq_quic::wire::{Code, Frame, PathId, TransportParameters};
use tq_quic::{
    ClosePathError, Event, OpenPathError, PathEvent, PathState, SendDatagramError, Status, TransportConfig,
};

const SECOND: Duration = Duration::from_secs(1);

fn elsewhere() -> SocketAddr {
    "198.51.100.9:9".parse().expect("an address")
}

/// Bytes the victim spends on a hundred datagrams full of these frames, all of which it gets.
fn spent_on(raw: &mut Raw, frames: &[Frame<'_>]) -> u64 {
    ack_all(raw);
    let sent = raw.sent;
    for _ in 0..100 {
        raw.send(Level::OneRtt, &bytes(frames));
        raw.pass(Duration::from_millis(1));
        raw.packets();
    }
    assert_eq!(raw.victim.closed(raw.handle), None);
    raw.sent - sent
}

#[test]
fn complaints_about_limits_are_acknowledged_and_no_more() {
    let mut raw = raw_server(4);
    let mut frames = vec![Frame::PathsBlocked(PathId(3)); 200];
    frames.extend(vec![Frame::PathCidsBlocked(PathId(2), 1); 100]);
    frames.extend(vec![Frame::PathCidsBlocked(PathId(3), 2); 100]);
    let spent = spent_on(&mut raw, &frames);
    assert!(spent < 100 * 60, "{spent} bytes for 40 000 frames");
    assert!(
        raw.victim.events.iter().all(|(_, event)| !matches!(event, Event::Path(PathEvent::Status { .. })))
    );
}

#[test]
fn limits_raised_one_by_one_earn_the_ids_of_one_step() {
    let mut raw = Raw::server_with(paths(4), raw_params(3));
    raw.pass(SECOND);
    let frames: Vec<Frame<'_>> = (4..400).map(|max| Frame::MaxPathId(PathId(max))).collect();
    let spent = spent_on(&mut raw, &frames);
    assert!(spent < 100 * 60, "{spent} bytes");
    assert!(victims_ids(&mut raw).iter().all(|(path, _, _)| *path <= 3));
}

#[test]
fn abandonment_said_again_and_again_is_answered_once() {
    let mut raw = raw_server(4);
    raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
    raw.pass(Duration::from_millis(50));
    let said = |raw: &mut Raw| {
        let frames: Vec<u64> =
            ack_all(raw).iter().flat_map(pair::raw::Packet::frames).map(|f| f.kind()).collect();
        frames.iter().filter(|kind| **kind == Frame::PathAbandon(PathId(1), 0).kind()).count()
    };
    assert_eq!(said(&mut raw), 1);
    let told = raw.victim.events.len();
    for _ in 0..50 {
        raw.frames(&vec![Frame::PathAbandon(PathId(1), 7); 300]);
        assert_eq!(said(&mut raw), 0);
    }
    assert_eq!(raw.victim.events.len(), told);
    assert_eq!(raw.violation(), None);
}

#[test]
fn ids_that_are_retired_on_all_paths_at_once_are_given_back_within_bounds() {
    // nothing of it is ever acknowledged
    let mut raw = raw_server(8);
    let mut seq = 2;
    let closed = loop {
        for path in 1..8 {
            let f = NewConnectionId { retire_prior_to: seq, ..issue(path, seq) };
            raw.frames(&[Frame::NewConnectionId(f)]);
        }
        if let Some(error) = raw.violation() {
            break error;
        }
        seq += 1;
        assert!(seq < 200, "retirements without end");
    };
    assert_eq!(closed.code, Code::CONNECTION_ID_LIMIT_ERROR);
}

#[test]
fn what_still_comes_on_an_abandoned_path_opens_and_keeps_nothing() {
    let mut raw = raw_server(4);
    let cid = victims_ids(&mut raw).iter().find(|(path, _, _)| *path == 1).expect("an id of path 1").2;
    let (zero, home) = (raw.dcid, raw.me);
    speak_on(&mut raw, 1, cid);
    raw.me = elsewhere();
    raw.frames(&[Frame::PathChallenge([1; 8]), Frame::Padding(1160)]);
    raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
    for n in 0..500u32 {
        // from ever other addresses as well
        raw.me = SocketAddr::new([203, 0, 113, (n % 200) as u8].into(), 53);
        raw.frames(&[Frame::PathChallenge([2; 8]), Frame::Ping, Frame::Padding(1100)]);
    }
    raw.victim.sent_to.clear();
    raw.pass(20 * SECOND);
    assert!(raw.victim.sent_to.iter().all(|(to, _)| *to == home), "to nobody but the client");
    raw.frames(&[Frame::Ping]);
    let left: Vec<_> = raw.victim().paths().map(|path| (path.id.0, path.state)).collect();
    assert_eq!(left.iter().filter(|(_, state)| state.is_live()).count(), 1, "{left:?}");
    assert!(!left.contains(&(1, PathState::Validating)));
    speak_on(&mut raw, 0, zero);
    raw.me = home;
    raw.frames(&[Frame::Ping]);
    assert_eq!(raw.victim.closed(raw.handle), None);
}

#[test]
fn answers_to_challenges_nobody_sent_prove_nothing_on_any_path() {
    let mut raw = raw_server(4);
    let cid = victims_ids(&mut raw).iter().find(|(path, _, _)| *path == 1).expect("an id of path 1").2;
    speak_on(&mut raw, 1, cid);
    raw.me = elsewhere();
    for n in 0..200u8 {
        raw.frames(&[Frame::PathResponse([n; 8]), Frame::Padding(1160)]);
    }
    let state = raw.victim().paths().find(|path| path.id == PathId(1)).map(|path| path.state);
    assert_eq!(state, Some(PathState::Validating));
}

#[test]
fn a_server_that_forbids_paths_to_its_first_address_is_obeyed() {
    let mut config = paths(4);
    config.allow_migration = false;
    let mut pair = Pair::new(paths(4), config);
    pair.client.others = vec![link(1)];
    let second: SocketAddr = "192.0.2.3:443".parse().expect("an address");
    pair.server.others = vec![second];
    let (client, _) = pair.connected();
    pair.pass(SECOND);
    let (now, first) = (pair.now, SERVER.parse().expect("an address"));
    let local = Some(link(1).ip());
    assert_eq!(pair.client(client).open_path(now, 1, local, first), Err(OpenPathError::Forbidden));
    // no id is spent by that, and another address of the server's is not meant
    assert_eq!(pair.client(client).open_path(now, 1, local, second), Ok(PathId(1)));
    pair.pass(SECOND);
    assert!(pair.client.has(client, &Event::Path(PathEvent::Validated(PathId(1)))));
}

#[test]
fn without_ids_of_the_server_no_path_is_opened_until_they_come() {
    let mut raw = Raw::client_with(paths(4), raw_params(3));
    raw.pass(SECOND);
    ack_all(&mut raw);
    let (now, remote) = (raw.now, raw.me);
    assert_eq!(raw.victim().open_path(now, 0, None, remote), Err(OpenPathError::NoConnectionId));
    raw.collect();
    let asked = ack_all(&mut raw)
        .iter()
        .flat_map(pair::raw::Packet::frames)
        .any(|f| f == Frame::PathCidsBlocked(PathId(1), 0));
    assert!(asked, "and the server hears why");
    assert!(!raw.victim.has(raw.handle, &Event::Path(PathEvent::MayOpen)));
    pair::multi::give(&mut raw, 1, 0);
    assert!(raw.victim.has(raw.handle, &Event::Path(PathEvent::MayOpen)));
    let now = raw.now;
    assert_eq!(raw.victim().open_path(now, 0, None, remote), Ok(PathId(1)));
}

#[test]
fn paths_that_are_not_there_can_be_neither_closed_nor_used() {
    let mut pair = paths_pair(2);
    let (client, server) = connected(&mut pair);
    let now = pair.now;
    for id in [PathId(2), PathId(u32::MAX)] {
        for end in [pair.client.connections.get_mut(&client), pair.server.connections.get_mut(&server)] {
            let end = end.expect("a connection");
            assert_eq!(end.close_path(now, id, 0), Err(ClosePathError::Unknown));
            assert_eq!(end.set_path_status(now, id, Status::Backup), Err(ClosePathError::Unknown));
            assert_eq!(end.ping_path(id), Err(ClosePathError::Unknown));
            assert!(end.send_datagram_on(id, vec![1].into()).is_err());
            assert!(end.path_stats(id).is_none());
        }
    }
    pair.client(client).close_path(now, PathId(1), u64::MAX).expect("any code will do");
    for (id, why) in [(PathId(1), ClosePathError::Unknown), (PathId(0), ClosePathError::LastPath)] {
        assert_eq!(pair.client(client).close_path(now, id, 0), Err(why));
    }
    assert_eq!(
        pair.client(client).set_path_status(now, PathId(1), Status::Backup),
        Err(ClosePathError::Unknown)
    );
    assert_eq!(pair.client(client).ping_path(PathId(1)), Err(ClosePathError::Unknown));
    let refused = pair.client(client).send_datagram_on(PathId(1), vec![1].into());
    assert_eq!(refused, Err(SendDatagramError::Blocked));
    pair.pass(5 * SECOND);
    // the code that was too large arrived as the largest there is
    let told = pair.server.events.iter().any(|(_, event)| {
        matches!(event, Event::Path(PathEvent::Abandoned { path: PathId(1), code, local: false }) if *code == (1 << 62) - 1)
    });
    assert!(told, "{:?}", pair.server.events);
    assert_eq!(open(&mut pair, client, 1), PathId(2));
}

#[test]
fn a_connection_that_is_over_has_no_more_paths() {
    let mut pair = paths_pair(2);
    let (client, _) = connected(&mut pair);
    let now = pair.now;
    pair.client(client).close(now, 0, b"");
    let remote = pair.server.address;
    assert_eq!(pair.client(client).open_path(now, 1, None, remote), Err(OpenPathError::Closed));
    pair.pass(SECOND);
    let mut left = pair.client.connections.get_mut(&client).into_iter();
    assert!(left.all(|connection| connection.open_path(now, 1, None, remote) == Err(OpenPathError::Closed)));
}

#[test]
fn a_peer_without_room_for_a_second_id_still_has_paths() {
    let mut config = TransportConfig::default();
    config.max_paths = Some(3);
    let tight = TransportParameters { active_cid_limit: 2, ..raw_params(2) };
    let mut raw = Raw::server_with(config, tight);
    raw.pass(SECOND);
    let ids = victims_ids(&mut raw);
    for path in 1..3 {
        assert_eq!(ids.iter().filter(|(of, _, _)| *of == path).count(), 2, "{ids:?}");
    }
}
