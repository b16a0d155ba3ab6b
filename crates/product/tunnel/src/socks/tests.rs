//! Programs that speak SOCKS5, and those that do not.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{reply, request};
use crate::{Status, Target};

/// What a request says, and what the program was told.
async fn ask(said: &[u8]) -> (Option<Target>, Vec<u8>) {
    let (mut program, mut here) = duplex(4096);
    program.write_all(said).await.unwrap();
    program.shutdown().await.unwrap();
    let target = request(&mut here).await.ok();
    drop(here);
    let mut told = Vec::new();
    program.read_to_end(&mut told).await.unwrap();
    (target, told)
}

#[tokio::test]
async fn addresses_and_names_are_read() {
    for (address, target) in [
        (&[1, 203, 0, 113, 7, 1, 187][..], "203.0.113.7:443"),
        (&[3, 7, b'a', b'.', b'h', b'o', b's', b't', b's', 0, 80], "a.hosts:80"),
        (&[4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 22], "[2001:db8::7]:22"),
    ] {
        let (found, told) = ask(&[&[5, 2, 1, 0, 5, 1, 0], address].concat()).await;
        assert_eq!(found, Some(Target::parse(target).unwrap()));
        assert_eq!(told, [5, 0]);
    }
}

#[tokio::test]
async fn what_is_not_spoken_is_refused_in_its_own_words() {
    assert_eq!(ask(&[4, 1, 0, 80]).await, (None, vec![]));
    assert_eq!(ask(b"GET / HTTP/1.1\r\n\r\n").await, (None, vec![]));
    assert_eq!(ask(&[5, 1, 2]).await, (None, vec![5, 0xff]));
    assert_eq!(ask(&[5, 0]).await, (None, vec![5, 0xff]));
    let refused = |code| vec![5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    // BIND, an unknown family, a name that is none, port 0
    assert_eq!(ask(&[5, 1, 0, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80]).await, (None, refused(7)));
    assert_eq!(ask(&[5, 1, 0, 5, 1, 0, 9, 1, 2]).await, (None, refused(8)));
    assert_eq!(ask(&[5, 1, 0, 5, 1, 0, 3, 1, b'/', 0, 80]).await, (None, refused(1)));
    assert_eq!(ask(&[5, 1, 0, 5, 1, 0, 3, 0, 0, 80]).await, (None, refused(1)));
    assert_eq!(ask(&[5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 0]).await, (None, refused(1)));
}

#[tokio::test]
async fn a_torn_request_is_no_request() {
    let whole = [5, 1, 0, 5, 1, 0, 1, 203, 0, 113, 7, 1, 187];
    for len in 0..whole.len() {
        assert_eq!(ask(&whole[..len]).await.0, None, "{len}");
    }
}

#[tokio::test]
async fn statuses_have_their_codes() {
    let (mut program, mut here) = duplex(64);
    reply(&mut here, Status::Refused).await.unwrap();
    let mut told = [0; 10];
    program.read_exact(&mut told).await.unwrap();
    assert_eq!(told, [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
}
