//! System calls with what they should refuse.

use super::*;

#[test]
fn names_that_the_kernel_would_cut_are_no_names() {
    assert!(name("").is_none() && name("a\0b").is_none() && name("sixteen-letters-").is_none());
    assert!(name("fifteen-letters").is_some());
    assert_eq!(index("no-such-device").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    assert_eq!(index("a\0b").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    assert!(tun("").is_err());
}

#[test]
fn an_answer_that_does_not_fit_is_told_apart() {
    let fd = netlink(0).unwrap();
    receive_timeout(&fd, Duration::from_secs(5)).unwrap();
    let dump = || crate::netlink::Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; 16]).bytes(1);
    send(&fd, &dump()).unwrap();
    assert_eq!(receive(&fd, &mut [0; 8]).unwrap(), Got::Cut);
    let fd = netlink(0).unwrap();
    send(&fd, &dump()).unwrap();
    assert!(matches!(receive(&fd, &mut [0; 65_536]).unwrap(), Got::Kernel(16..)));
}

#[test]
fn reading_stops_after_its_time_and_never_waits_without_blocking() {
    let fd = netlink(0).unwrap();
    receive_timeout(&fd, Duration::from_millis(1)).unwrap();
    assert_eq!(receive(&fd, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let fd = netlink(0).unwrap();
    nonblocking(&fd).unwrap();
    assert_eq!(receive(&fd, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn namespaces_have_numbers_of_their_own() {
    let here = netns_cookie(&netlink(0).unwrap());
    let Ok(here) = here else { return };
    let there = std::thread::spawn(|| unshare().ok().map(|()| netns_cookie(&netlink(0).unwrap()).unwrap()));
    match there.join().unwrap() {
        Some(there) => assert_ne!(here, there),
        None => eprintln!("skipped: no network namespaces here"),
    }
}
