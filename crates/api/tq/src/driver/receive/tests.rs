use super::*;

fn short(cid: u8, len: usize) -> Vec<u8> {
    let mut datagram = vec![cid; len];
    datagram[0] = 0x40;
    datagram
}

#[test]
fn a_run_ends_where_the_connection_id_changes() {
    let train = [short(1, 30), short(1, 30), short(2, 30), short(1, 30)].concat();
    let target = Target::of(&train, 8).expect("short header");
    assert_eq!(target.run(&train[30..], 30, 8), 30);
}

#[test]
fn a_shorter_last_datagram_belongs_to_the_run() {
    let train = [short(1, 30), short(1, 30), short(1, 12)].concat();
    let target = Target::of(&train, 8).expect("short header");
    assert_eq!(target.run(&train[30..], 30, 8), 42);
}

#[test]
fn long_headers_and_stubs_never_start_a_run() {
    let mut long = short(1, 30);
    long[0] = 0xc0;
    assert!(Target::of(&long, 8).is_none());
    assert!(Target::of(&short(1, 8), 8).is_none(), "the connection id is cut off");
    assert!(Target::of(&[], 8).is_none());
    let train = [short(1, 30), long].concat();
    assert_eq!(Target::of(&train, 8).expect("short header").run(&train[30..], 30, 8), 0);
}

#[test]
fn only_the_connection_id_counts() {
    let (mut one, mut two) = (short(1, 30), short(1, 30));
    one[20] = 77;
    two[0] = 0x5f;
    assert!(Target::of(&one, 8) == Target::of(&two, 8));
}
