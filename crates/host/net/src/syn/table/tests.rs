//! Questions, the same again, too many, answered and given up.

use super::packet::tests::packet;
use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn first(client: u8, port: u16) -> Vec<u8> {
    packet(&format!("10.0.0.{client}:{port}"), "192.0.2.1:443", 2, &[])
}

fn ask(table: &mut Table, client: u8, port: u16) -> Syn {
    let Verdict::Ask(syn) = table.take(&first(client, port), NOW) else { panic!() };
    syn
}

#[test]
fn a_packet_that_is_sent_again_is_the_same_question_and_the_newest_is_answered() {
    let mut table = Table::new(Limits::default());
    let syn = ask(&mut table, 1, 1);
    assert_eq!(table.take(&first(1, 1), NOW), Verdict::Drop);
    let newer = packet("10.0.0.1:1", "192.0.2.1:443", 2, b"x");
    assert_eq!(table.take(&newer, NOW), Verdict::Drop);
    assert_eq!(table.admit(&syn, NOW), Some(newer.clone()));
    assert_eq!(table.admit(&syn, NOW), None);
    // Its client has not heard yet.
    assert_eq!(table.take(&newer, NOW), Verdict::LetIn);
    // The connection came; the same port again, or much later, is another question.
    table.arrived(&syn);
    assert_eq!(ask(&mut table, 1, 1), syn);
    table.admit(&syn, NOW);
    assert_eq!(table.take(&newer, NOW + MEMORY), Verdict::Ask(syn));
    let Counts { asked, admitted, repeated, .. } = table.counts();
    assert_eq!((asked, admitted, repeated), (3, 2, 3));
}

#[test]
fn after_a_refusal_the_next_packet_asks_anew() {
    let mut table = Table::new(Limits::default());
    let syn = ask(&mut table, 1, 1);
    assert_eq!(table.refuse(&syn), Some(first(1, 1)));
    assert_eq!(table.refuse(&syn), None);
    assert_eq!(ask(&mut table, 1, 1), syn);
    assert_eq!(table.counts().refused, 1);
}

#[test]
fn a_full_table_drops_what_comes_and_takes_more_when_there_is_room() {
    let limits = Limits { pending: 100, per_client: 100, ..Limits::default() };
    let mut table = Table::new(limits);
    for i in 0..100 {
        ask(&mut table, (i % 50) as u8 + 1, i + 1);
    }
    for i in 0..1000 {
        assert_eq!(table.take(&first(99, i + 1), NOW), Verdict::Drop);
    }
    assert_eq!((table.pending(), table.counts().full), (100, 1000));
    // What is open is still known.
    assert_eq!(table.take(&first(1, 1), NOW), Verdict::Drop);
    assert_eq!(table.counts().repeated, 1);
    let syn = packet::read(&first(1, 1)).unwrap();
    assert!(table.refuse(&syn).is_some());
    ask(&mut table, 99, 1);
    assert_eq!(table.take(&first(99, 2), NOW), Verdict::Drop);
}

#[test]
fn one_client_cannot_take_the_room_of_others() {
    let mut table = Table::new(Limits { pending: 100, per_client: 10, ..Limits::default() });
    for i in 0..10 {
        ask(&mut table, 1, i + 1);
    }
    for i in 10..500 {
        assert_eq!(table.take(&first(1, i + 1), NOW), Verdict::Drop);
    }
    assert_eq!(table.counts().greedy, 490);
    let other = ask(&mut table, 2, 1);
    assert!(table.admit(&other, NOW).is_some());
    assert_eq!(table.clients.len(), 1);
}

#[test]
fn what_nobody_answers_makes_room_in_the_end() {
    let limits = Limits { pending: 10, per_client: 10, ..Limits::default() };
    let mut table = Table::new(limits);
    for i in 0..10 {
        ask(&mut table, 1, i + 1);
    }
    let later = NOW + limits.patience;
    assert!(matches!(table.take(&first(1, 99), later), Verdict::Ask(_)));
    assert_eq!((table.pending(), table.counts().expired, table.clients.len()), (1, 10, 1));
}

#[test]
fn what_is_no_question_is_counted() {
    let mut table = Table::new(Limits::default());
    for bytes in [&[][..], &[0x45], &packet("10.0.0.1:1", "192.0.2.1:443", 16, &[])] {
        assert_eq!(table.take(bytes, NOW), Verdict::Drop);
    }
    assert_eq!((table.counts().other, table.pending()), (3, 0));
}
